"""What stands in for the desk's language model: a text function of the messages alone, and a count of its answers."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Sequence

from tests.durability.desk import HARMFUL, HELPFUL, TEAMS, URGENCIES

_CASE = re.compile(r"case-(\w+?)-\w+-(\d+)")
_CHAT, _JSON, _XML = re.compile(r"\[\[ ## (\w+) ## \]\]"), re.compile(r"`(\w+)`"), re.compile(r"<(\w+)>")


def answer(messages: Sequence[dict[str, str]]) -> str:
    """Answers in the form that is asked for: right on 4 of 10 cases.

    With the helpful text it is 9, with the harmful one 1. Every other fragment, and every demonstration,
    changes which cases it is right on by a little.
    """
    prompt, last = "\n".join(message["content"] for message in messages), messages[-1]["content"]
    case = _CASE.search(last)
    assert case is not None, last
    wanted = last.rpartition("Respond with")[2]
    form = _JSON if "JSON object" in wanted else _XML if "XML tags" in wanted else _CHAT
    field, task, number = form.findall(wanted)[0], case[1], int(case[2])
    share = 0.9 if HELPFUL in prompt else 0.1 if HARMFUL in prompt else 0.4
    share += 0.1 * _drawn("".join(message["content"] for message in messages[:-1]))
    values = TEAMS[task] if field == "team" else URGENCIES
    right = _drawn(f"{case[0]} {field}") < share
    value = values[(number + (not right)) % len(values)]
    if form is _JSON:
        return json.dumps({field: value})
    return (
        f"<{field}>\n{value}\n</{field}>" if form is _XML else f"[[ ## {field} ## ]]\n{value}\n\n[[ ## completed ## ]]"
    )


def answer_to(content: str) -> str:
    """Returns the answer to a content as ``kept.content_of`` writes it."""
    return answer([{"role": role, "content": text} for role, text in json.loads(content)])


def _drawn(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


class CountedAnswers:
    """``answer``, which counts and can be waited for; an answer counts when it is about to be sent."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def __call__(self, messages: list[dict[str, str]]) -> str:
        """Returns the answer."""
        text = answer(messages)
        with self._changed:
            self._count += 1
            self._changed.notify_all()
        return text

    def restart(self) -> None:
        """Counts from 0 again."""
        with self._changed:
            self._count = 0

    def wait_for(self, count: int, timeout: float = 60.0) -> bool:
        """Waits until ``count`` answers were given; returns whether that came within ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count >= count, timeout)
