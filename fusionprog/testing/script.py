"""A script: answers by what the prompt says."""

from __future__ import annotations

import re
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, TypeAlias

from fusionprog.errors import LMError
from fusionprog.lm.model import Completion, Messages
from fusionprog.testing.text import TextAnswer, prompt_text

ScriptAnswer: TypeAlias = TextAnswer | Callable[[re.Match[str]], TextAnswer | Awaitable[TextAnswer]]


class Script:
    r"""A text function made of rules; the first one whose pattern is found in the prompt answers.

    Args:
        rules: Pairs of a regular expression and an answer. A string is searched for with ``re.MULTILINE`` and
            ``re.DOTALL``; a compiled pattern keeps its own flags. An answer is a text or a ``Completion``,
            or a function (it may be async) of the match; ``match.string`` is what was searched.
        search: What is searched: the whole ``"prompt"`` (the contents of all messages with an empty line between
            them), or the ``"last"`` message alone, where demonstrations and field descriptions cannot match.

    Example:
        >>> script = Script([(r"parcel", "delivery"), (r"my name is (\w+)", lambda match: match[1])])
        >>> script([{"role": "user", "content": "Hello, my name is Ada."}])
        'Ada'
    """

    def __init__(
        self,
        rules: Iterable[tuple[str | re.Pattern[str], ScriptAnswer]],
        *,
        search: Literal["prompt", "last"] = "prompt",
    ) -> None:
        self._rules = [(_compiled(pattern), answer) for pattern, answer in rules]
        self._search = search
        self._unmatched: list[str] = []
        self._uses = [0] * len(self._rules)
        self._lock = threading.Lock()

    def __call__(self, messages: Messages) -> TextAnswer | Awaitable[TextAnswer]:
        """Returns the answer of the first rule that matches.

        Raises:
            LMError: if none does; the prompt is kept in ``unmatched``.
        """
        searched = prompt_text(messages) if self._search == "prompt" else messages[-1]["content"]
        for place, (pattern, answer) in enumerate(self._rules):
            if match := pattern.search(searched):
                with self._lock:
                    self._uses[place] += 1
                return answer if isinstance(answer, (str, Completion)) else answer(match)
        with self._lock:
            self._unmatched.append(searched)
        raise LMError(
            "no rule of the script matches the prompt",
            expected=f"one of {', '.join(repr(pattern.pattern) for pattern, _ in self._rules) or 'no rules at all'}",
            found=repr(searched if len(searched) <= 500 else f"{searched[:250]} […] {searched[-250:]}"),
            fix="Add a rule for it",
        )

    @property
    def unmatched(self) -> tuple[str, ...]:
        """What was searched where no rule matched, in order."""
        with self._lock:
            return tuple(self._unmatched)

    @property
    def unused(self) -> tuple[str, ...]:
        """The patterns that have answered nothing yet."""
        with self._lock:
            return tuple(
                pattern.pattern for (pattern, _), uses in zip(self._rules, self._uses, strict=True) if not uses
            )

    def check(self) -> None:
        """Checks that every prompt was matched.

        Raises:
            AssertionError: if one was not; it shows the first.
        """
        unmatched = self.unmatched
        assert not unmatched, f"the script has no answer to {len(unmatched)} prompt(s), the first: {unmatched[0]!r}"


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE | re.DOTALL) if isinstance(pattern, str) else pattern
