"""The fault table of the documentation, row by row, with the real clients against the server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import dspy
import pytest
from dspy.clients.engines import LiteLLMEngine, LM15Engine
from dspy.lm15 import RouterConfig, Timeouts

from fusionprog import errors
from fusionprog.lm.dspy_adapters import PromptFormat
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.model import Completion
from fusionprog.testing import Fault, LMServer, error

PAGE = (Path(__file__).parent.parent.parent / "docs" / "errors.md").read_text(encoding="utf-8")
STATUSES = {
    "truncated": ("length", errors.LMTruncatedError),
    "refused": ("refused", errors.LMRefusedError),
    "too_long": ("context", errors.LMContextError),
    "unreadable": ("stop", errors.LMOutputError),
}


class Row(NamedTuple):
    what: str
    seen: str
    retried: str
    gets: str
    fix: str


def table(title: str) -> list[list[str]]:
    """The rows of the first table under a title."""
    lines = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[2:]


ROWS = [Row(*cells) for cells in table("The fault table")]

# What makes the server do what a row says; several ways where a row names several.
PLANS: dict[str, list[Any]] = {
    "wrong or missing key (401, 403)": [error(401), error(403)],
    "no money or quota left (402, 429 with `insufficient_quota`)": [error(402), error(429, "insufficient_quota")],
    "no such model (404)": [error(404), error(404, "unknown_url")],
    "too many requests or tokens a minute (429)": [Fault.RATE_LIMIT],
    "no answer in time, 408, 504": [Fault.HANG, error(408), error(504)],
    "connection refused": ["stopped"],
    "connection cut in the middle of an answer": [Fault.CUT],
    "an answer that is no JSON (a gateway's error page)": [Fault.MALFORMED],
    "the provider failed (500, 502)": [Fault.SERVER_ERROR, error(502)],
    "the provider is overloaded (503)": [Fault.OVERLOADED],
    "an answer without choices": [Fault.EMPTY_CHOICES],
    "an answer without text": ["no text"],
    "an answer cut on its way (no `finish_reason`)": [Fault.UNFINISHED],
    "an answer that reached `max_tokens`": [Fault.TRUNCATED],
    "held back by a content filter (`finish_reason` or 400)": [
        Completion("half", 0, 0, finish="refused"),
        error(400, "content_filter", "The response was filtered by Azure OpenAI's content management policy."),
        error(400, "content_policy_violation"),
    ],
    "the prompt does not fit the context window (400, 413)": [error(400), error(413)],
    "the model said something that cannot be read": [Completion("gibberish", 1, 1)],
    "another refusal (400, 409, 422)": [error(400, "invalid_value"), error(409), error(422)],
}
# Rows that no server can bring about; test_dspy_model.py has them.
LOCAL = {"no key at all, or parameters that DSPy will not send", "an engine of your own raised something"}
CASES = [(row, plan) for row in ROWS for plan in PLANS.get(row.what, [])]


def by_name(engine: str) -> Callable[[str], dspy.LM]:
    def make(url: str, **more: Any) -> dspy.LM:
        options = {"api_base": url, "api_key": "x", "cache": False, "timeout": 0.3}
        return dspy.LM("openai/test-model", engine=engine, **options, **more)

    return make


def by_native_engine(url: str, **more: Any) -> dspy.LM:
    config = RouterConfig(api_keys={"openai-chat": "x"}, base_urls={"openai-chat": url}, timeouts=Timeouts(read=0.3))
    return dspy.LM("openai/test-model", engine=LM15Engine(config), cache=False, **more)


def by_litellm_engine(url: str, **more: Any) -> dspy.LM:
    made = LiteLLMEngine(wire_model="openai/test-model", api_base=url, api_key="x", timeout=0.3)
    return dspy.LM("openai/test-model", engine=made, cache=False, **more)


MAKERS: dict[str, Any] = {
    "native": by_name("lm15"),
    "litellm": by_name("litellm"),
    "native in threads": by_native_engine,
    "litellm in threads": by_litellm_engine,
}


def ask(lm: dspy.LM) -> Completion:
    async def main() -> Completion:
        try:
            return await DSPyModel(lm).complete(({"role": "user", "content": "hello"},))
        finally:
            await lm.aclose()

    return asyncio.run(main())


def test_every_row_is_tried() -> None:
    assert {row.what for row in ROWS} == {*PLANS, *LOCAL}
    assert len({row.what for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("heard", [False, True], ids=["direct", "heard"])
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(("row", "plan"), CASES, ids=[f"{row.what} {number}" for number, (row, _) in enumerate(CASES)])
def test_the_table_is_true(row: Row, plan: Any, maker: str, heard: bool, provider: Any) -> None:
    more = {"callbacks": [dspy.utils.BaseCallback()]} if heard else {}
    said: Any = plan if isinstance(plan, Completion) else "one two three four"
    with LMServer(lambda messages: said) as server:
        url = server.url
        if plan == "no text":
            provider.content, url = None, provider.url
        elif plan == "stopped":
            server.stop()
        elif not isinstance(plan, Completion):
            server.next(plan, times=None, retry_after=3 if isinstance(plan, Fault) else None)
        lm = MAKERS[maker](url, **more)
        if status := re.fullmatch(r"status `(\w+)`", row.seen):
            finish, kind = STATUSES[status[1]]
            answer = ask(lm)
            assert (answer.finish, kind.status, row.retried, row.gets) == (finish, status[1], "no", "0")
            if finish == "stop":
                with pytest.raises(errors.LMOutputError):
                    PromptFormat("chat").reader(dspy.Signature("question -> answer")).read(answer.text)
        else:
            with pytest.raises(errors.LMError) as caught:
                ask(lm)
            assert f"`{type(caught.value).__name__}`" == row.seen
            again = isinstance(caught.value, errors.LMUnavailableError)
            assert (row.retried, row.gets) == (("yes", "measured again") if again else ("no", "nothing: the run stops"))
            if plan == "no text":  # which the provider counts, and charges for
                assert getattr(caught.value, "tokens", None) == (11, 3)
            if plan in (Fault.RATE_LIMIT, Fault.OVERLOADED):
                assert getattr(caught.value, "retry_after", None) == 3
            if isinstance(caught.value, errors.LMConfigurationError):
                assert caught.value.fix
        assert server.wait_until_idle()
        asked = len(provider.requests) if plan == "no text" else len(server.requests)
        assert asked == (0 if plan == "stopped" else 1)  # one attempt


def test_the_statuses_are_those_of_the_errors() -> None:
    statuses = {cells[0].strip("`"): cells[1] for cells in table("Statuses of examples")}
    assert statuses == {"ok": "the metric's"} | dict.fromkeys(STATUSES, "0")
    assert {status: kind.status for status, (_, kind) in STATUSES.items()} == {name: name for name in STATUSES}


def test_the_tree_is_the_one_of_the_package() -> None:
    tree = re.findall(r"[├└]── (\w+)", PAGE)
    models = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LMError)]
    assert sorted(tree) == sorted(kind.__name__ for kind in models)
    assert set(re.findall(r"`(LM\w+Error)`", PAGE)) <= set(tree)
