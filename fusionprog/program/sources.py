"""Where a value comes from: an input of the program, a node's field, a constant, or one of two of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from fusionprog.errors import ProgramError
from fusionprog.program.choice import checked_options

MOST_NESTED = 50  # guarded sources inside each other
MOST_SOURCES = 1_000  # in one guarded source


@dataclass(frozen=True)
class InputRef:
    """An input of the program."""

    name: str

    def __str__(self) -> str:
        return self.name


class FieldRef(NamedTuple):
    """An output field of a node, written ``node.field``."""

    node: str
    field: str

    def __str__(self) -> str:
        return f"{self.node}.{self.field}"

    @classmethod
    def parse(cls, text: str) -> FieldRef:
        """Reads ``"node.field"``; the node's own name may hold dots.

        Raises:
            ProgramError: if there is no dot in it.
        """
        node, dot, name = text.rpartition(".")
        if not dot or not node or not name:
            raise ProgramError(
                f"{text!r} names no field of a node",
                expected="'node.field'",
                fix="Write the node's name, a dot and the field's name",
            )
        return cls(node, name)


@dataclass(frozen=True)
class Constant:
    """A value that is the same in every call.

    Attributes:
        value: The value.
        others: Those that the search may put in its place.
    """

    value: Any
    others: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True)
class When:
    """A guarded source: in every call one of two, and what only the other one needs is not run.

    Attributes:
        condition: A truth value of the call.
        then: The source where it is true.
        otherwise: The source where it is false.
        depth: How many guarded sources are inside each other here.
        size: How many sources there are in it.

    Raises:
        ProgramError: if there are more of them inside each other, or in all, than can be told apart by a reader.
    """

    condition: Reference
    then: Source
    otherwise: Source
    depth: int = field(init=False, compare=False, repr=False)
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = [each for each in (self.condition, self.then, self.otherwise) if isinstance(each, When)]
        depth, size = 1 + max((each.depth for each in parts), default=0), 3 + sum(each.size for each in parts)
        if depth > MOST_NESTED or size > MOST_SOURCES:
            raise ProgramError(
                "a guarded source holds too many others",
                expected=f"at most {MOST_NESTED} inside each other, and {MOST_SOURCES:,} sources",
                found=f"{depth} and {size:,}",
                fix="Let a fusionprog.modules.Function choose",
            )
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "size", size)

    def __str__(self) -> str:
        then, condition, otherwise = (
            f"({each})" if isinstance(each, When) else str(each) for each in (self.then, self.condition, self.otherwise)
        )
        return f"{then} if {condition} else {otherwise}"


Leaf: TypeAlias = InputRef | FieldRef | Constant
Reference: TypeAlias = InputRef | FieldRef | When
Source: TypeAlias = InputRef | FieldRef | Constant | When


def leaves(source: Source) -> Iterator[Leaf]:
    """Yields what a source may come to: itself, or what either side of a guarded one may."""
    open_ = [source]
    while open_:
        each = open_.pop()
        if isinstance(each, When):
            open_ += [each.otherwise, each.then]
        else:
            yield each


def guards(source: Source) -> Iterator[When]:
    """Yields every guarded source in a source, those in conditions included."""
    open_ = [source]
    while open_:
        each = open_.pop()
        if isinstance(each, When):
            yield each
            open_ += [each.otherwise, each.then, each.condition]


def read_by(source: Source) -> Iterator[Leaf]:
    """Yields everything that a source may read: what it may come to, and what its conditions may."""
    yield from leaves(source)
    for guard in guards(source):
        yield from leaves(guard.condition)


def first_condition(source: Source) -> Leaf:
    """Returns what a source reads before all else: itself, or the condition that is asked first."""
    while isinstance(source, When):
        source = source.condition
    return source


def followed(source: Source, truth: Callable[[Leaf], bool | None]) -> tuple[Leaf, bool]:
    """Follows a source as far as its conditions are known.

    Args:
        source: The source.
        truth: Condition → whether it is true; ``None`` while that is not known.

    Returns:
        What it comes to and ``True``, or the first condition that is not known and ``False``.
    """
    while isinstance(source, When):
        condition, known = followed(source.condition, truth)
        told = truth(condition) if known else None
        if told is None:
            return condition, False
        source = source.then if told else source.otherwise
    return source, True


def with_typed_constants(source: Source, annotation: Any, what: str) -> Source:
    """Returns a source whose constants are as a field of this type has them (a date given as text becomes a date).

    A constant that is a ``fusionprog.Choice`` becomes its first value, with the others beside it.

    Raises:
        ProgramError: if one has another type, or cannot be kept in JSON; or if a choice is guarded.
    """
    if isinstance(source, Constant):
        value, *others = checked_options(source.value, annotation, what)
        return Constant(value, tuple(others))
    if not isinstance(source, When):
        return source
    condition = with_typed_constants(source.condition, bool, f"{what} in a condition")
    assert not isinstance(condition, Constant)
    sides = [with_typed_constants(side, annotation, what) for side in (source.then, source.otherwise)]
    if any(isinstance(side, Constant) and side.others for side in sides):
        raise ProgramError(
            f"{what} is a Choice on one side of a guard",
            fix="Let the search choose a whole input, or a module with fusionprog.modules.Choose",
        )
    return When(condition, *sides)
