"""``fp.Choice``: a value of which there are several, for the search to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fusionprog._internal.canonical import canonical_json
from fusionprog.errors import ProgramError
from fusionprog.program.module import Module
from fusionprog.program.types import checked_constant

MOST_OPTIONS = 100  # of one choice


@dataclass(frozen=True, init=False)
class Choice:
    """Several values; the first one is used as the program is written, and the search may choose another.

    It stands for a constant input of a node (``self.search(query=query, k=fp.Choice(3, 5, 10))``) or for a node's
    model (``lm={"triage": fp.Choice("openai/gpt-4o-mini", "openai/gpt-4o")}``). Modules are chosen from with
    ``fusionprog.modules.Choose``.

    Attributes:
        options: The values, at least two.

    Raises:
        ProgramError: if there are fewer than two, more than a hundred, or modules among them.
    """

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        if any(isinstance(each, Module) for each in options):
            raise ProgramError(
                "a Choice has a module among its values",
                expected="values, e.g. fusionprog.Choice(3, 5, 10)",
                fix="Write fusionprog.modules.Choose(...) to let the search choose among modules",
            )
        if not 2 <= len(options) <= MOST_OPTIONS:
            raise ProgramError(
                "a Choice cannot be chosen from",
                expected=f"2 to {MOST_OPTIONS} values, the first as the program is written",
                found=f"{len(options)}",
                fix="Write e.g. fusionprog.Choice(3, 5, 10), or the one value itself",
            )
        object.__setattr__(self, "options", options)


def checked_options(value: Any, annotation: Any, what: str) -> tuple[Any, ...]:
    """Returns a constant, or all that a ``Choice`` offers for it, as a field of this type has them.

    Args:
        value: The constant or the choice.
        annotation: The field's type; ``None`` where unknown.
        what: What it is (``"the constant of search.k"``), for messages.

    Raises:
        ProgramError: if a value has another type, cannot be kept in JSON or is there twice.
    """
    given = value.options if isinstance(value, Choice) else (value,)
    made = tuple(checked_constant(each, annotation, what) for each in given)
    names = [option_name(each) for each in made]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ProgramError(f"{what} offers a value twice", found=twice[0], fix="Give each value of a Choice once")
    return made


def option_name(value: Any) -> str:
    """Returns what a value is called among the options of a choice: its JSON text."""
    return canonical_json(value)
