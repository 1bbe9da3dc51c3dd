"""Scripts."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from fusionprog.errors import LMError
from fusionprog.testing import Script
from fusionprog.testing.text import TextAnswer, answer_of

MESSAGES = [{"role": "system", "content": "Sort\nparcels."}, {"role": "user", "content": "My card 42 is gone."}]


def answer(*rules: Any, **options: Any) -> TextAnswer:
    return asyncio.run(answer_of(Script(rules, **options), MESSAGES))


def test_the_first_rule_that_matches_answers() -> None:
    assert answer(("flowers", "none"), ("card", "cards"), ("gone", "fraud")) == "cards"


def test_the_whole_prompt_is_searched_or_the_last_message() -> None:
    rules = [("parcel", "delivery"), ("card", "cards")]
    assert answer(*rules) == "delivery"
    assert answer(*rules, search="last") == "cards"


def test_patterns_span_lines_and_know_their_ends() -> None:
    assert answer((r"^Sort.+gone\.$", "all")) == "all"
    assert answer((r"^My card", "line")) == "line"
    with pytest.raises(LMError):
        answer((re.compile(r"Sort.parcels"), "a compiled pattern has its own flags"))


def test_functions_get_the_match() -> None:
    async def later(match: re.Match[str]) -> str:
        await asyncio.sleep(0)
        return f"{match[1]}, later"

    assert answer((r"card (\d+)", lambda match: f"{match[1]} of {len(match.string)}")) == "42 of 34"
    assert answer((r"card (\d+)", later)) == "42, later"


def test_a_prompt_without_a_rule_is_an_error_that_shows_it_and_is_remembered() -> None:
    script = Script([("flowers", "none"), ("card", "cards")])
    script(MESSAGES)
    script.check()
    long = "x" * 300 + "middle" + "y" * 300
    with pytest.raises(LMError) as caught:
        script([{"role": "user", "content": long}])
    assert "'flowers', 'card'" in str(caught.value)
    assert "[…]" in str(caught.value) and "middle" not in str(caught.value)
    assert script.unmatched == (long,)
    assert script.unused == ("flowers",)
    with pytest.raises(AssertionError, match="no answer to 1 prompt"):
        script.check()


def test_a_script_without_rules_answers_nothing() -> None:
    with pytest.raises(LMError, match="no rules at all"):
        answer()
