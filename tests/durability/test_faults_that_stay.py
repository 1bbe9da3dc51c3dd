"""A fault that stays for some prompts: the run stops and says so, scores nothing 0, and continues once it is gone."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

import fusionprog as fp
from fusionprog.errors import LMAuthError, LMBillingError, LMConfigurationError, LMNotFoundError, LMUnavailableError
from fusionprog.testing import Fault, error
from fusionprog.testing.faults import ErrorAnswer
from tests.durability import in_process
from tests.durability.kept import committed, statuses
from tests.durability.scene import SLOTS, Scene, Whole

STAYS = r"case-bank-val-\d*7\."  # in no demonstration: those come from train
IMPATIENT = ("--timeout", "0.5", "--retries", "1")
RETRIED = ("rate_limited", "server_error", "overloaded", "hang", "cut", "malformed", "empty_choices", "unfinished")


@pytest.mark.parametrize("kind", RETRIED)
def test_the_command_stops_and_continues(scene: Scene, whole: Whole, tmp_path: Path, kind: str) -> None:
    scene.server.next(Fault(kind), times=None, match=STAYS)
    stopped = scene.compile(tmp_path, *IMPATIENT)
    assert stopped.code == 3
    assert stopped.out == "" and "Traceback" not in stopped.err
    message = stopped.err[stopped.err.index("error: ") :]
    assert "desk-model" in message and re.search(r"\d", message)  # how many examples, or how often it was asked
    assert "continue" in message
    assert not (tmp_path / "desk.json").exists()
    assert statuses(tmp_path / "desk.db") <= {"ok"}
    failing = {content for content in scene.asked() if re.search(STAYS, content)}
    kept = committed(tmp_path / "desk.db")
    assert failing and not failing & kept.keys()

    scene.forget()
    ended = scene.compile(tmp_path, *IMPATIENT)
    assert ended.code == 0, ended.err
    assert (tmp_path / "desk.json").read_bytes() == whole.artifact
    asked = scene.asked()
    assert not kept.keys() & asked.keys()
    assert failing <= asked.keys()


@pytest.mark.parametrize("kind", RETRIED)
def test_the_error_is_of_the_family_that_is_retried(scene: Scene, tmp_path: Path, kind: str) -> None:
    scene.server.next(Fault(kind), times=None, match=STAYS)
    limits = fp.Limits(timeout=0.5, retries=2, backoff=0.01)
    with pytest.raises(LMUnavailableError) as caught:
        in_process.compiled(scene.server.url, tmp_path, concurrency=SLOTS, limits=limits)
    assert "desk-model" in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value) and str(again) == str(caught.value)
    counts = [count for content, count in scene.asked().items() if re.search(STAYS, content)]
    assert max(counts) >= 3  # the first time and two times again


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(401), LMAuthError),
        (error(402), LMBillingError),
        (error(403), LMConfigurationError),
        (error(404), LMNotFoundError),
        (error(429, "insufficient_quota"), LMBillingError),
    ],
    ids=["key", "billing", "permission", "model", "quota"],
)
def test_what_must_be_set_first_is_not_tried_again(
    scene: Scene, tmp_path: Path, answer: ErrorAnswer, kind: type[LMConfigurationError]
) -> None:
    scene.server.next(answer, times=None)
    with pytest.raises(kind) as caught:
        in_process.compiled(
            scene.server.url, tmp_path, concurrency=SLOTS, limits=fp.Limits(timeout=5.0, retries=6, backoff=0.01)
        )
    assert caught.value.fix
    asked = scene.asked()
    assert (
        max(asked.values()) == 1 and len(asked) <= 2 * SLOTS
    )  # what was in flight, and what took its place before all was called off
    assert committed(tmp_path / "desk.db") == {}
