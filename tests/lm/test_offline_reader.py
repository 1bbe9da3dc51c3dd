"""The offline reader: the same messages give the same answer, whatever happened before."""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import dspy
import pytest

from fusionprog.errors import LMError
from fusionprog.lm.offline import OfflineReader

LABELS = ("card_lost", "pin_change", "pay_bill", "exchange_rate", "greeting")
TEXTS = ("i lost my card", "new pin please", "what does it cost", "hi", "", "bill bill bill", "rate for euros", "xyz")


def prompts() -> list[list[dict[str, Any]]]:
    """Messages of many prompts: with and without glossaries and demonstrations, in every format."""
    found: list[list[dict[str, Any]]] = []
    fields = {"text": (str, dspy.InputField()), "intent": (Literal[LABELS], dspy.OutputField())}
    demos = [{"text": f"this is about {label}", "intent": label} for label in LABELS]
    adapters: list[Any] = [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()]
    for adapter, glossary, n in itertools.product(adapters, ("", "\n- pay_bill: cost, price"), (0, 3)):
        signature = dspy.Signature(fields, f"Name the intent.{glossary}").prepend("reasoning", dspy.OutputField(), str)
        found += [adapter.format(signature, demos[:n], {"text": text}) for text in TEXTS]
    return found


def test_answers_do_not_depend_on_the_cache_or_the_order() -> None:
    messages = prompts()
    fresh = [OfflineReader().read(each) for each in messages]
    assert len(set(fresh)) > 10
    for capacity in (1, 2, 1000):
        reader = OfflineReader(capacity)
        order = list(range(len(messages)))
        random.Random(capacity).shuffle(order)
        answers = {place: reader.read(messages[place]) for place in order}
        assert [answers[place] for place in range(len(messages))] == fresh


def test_answers_do_not_depend_on_threads() -> None:
    messages = prompts()
    alone = [OfflineReader().read(each) for each in messages]
    reader = OfflineReader(capacity=3)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(reader.read, messages * 3)) == alone * 3


def test_answers_do_not_depend_on_the_process() -> None:
    code = (
        "import runpy, sys; sys.path[:0] = sys.argv[2:]\n"
        "tests = runpy.run_path(sys.argv[1])\n"
        "reader = tests['OfflineReader']()\n"
        "sys.stdout.write(repr([reader.read(each) for each in tests['prompts']()]))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, __file__, *filter(None, sys.path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] == repr([OfflineReader().read(each) for each in prompts()])


def test_readers_can_be_copied_and_pickled() -> None:
    reader = OfflineReader()
    messages = prompts()[0]
    answer = reader.read(messages)
    assert copy.deepcopy(reader).read(messages) == answer
    assert pickle.loads(pickle.dumps(reader)).read(messages) == answer


def test_messages_in_parts_are_read() -> None:
    messages = prompts()[0]
    parts = [*messages[:-1], {"role": "user", "content": [{"type": "text", "text": messages[-1]["content"]}]}]
    assert OfflineReader().read(parts) == OfflineReader().read(messages)


def test_a_prompt_of_another_layout_is_answered_by_extraction() -> None:
    reader = OfflineReader()
    assert reader.read([{"role": "user", "content": "Say hello. Then stop."}]) == "Say hello."
    assert reader.read([{"role": "system", "content": "Be kind."}, {"role": "user", "content": ""}]).strip()


@pytest.mark.parametrize("messages", [[], [{"role": "system", "content": "Your input fields are:\n"}]])
def test_without_a_user_message_there_is_nothing_to_answer(messages: list[dict[str, str]]) -> None:
    with pytest.raises(LMError, match="expected a user message"):
        OfflineReader().read(messages)
