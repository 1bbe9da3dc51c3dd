"""``compose``: one prompt from all that is chosen, stable parts first."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import NamedTuple

from fusionprog.prompts.items import TEXT_FACETS, Content, Demo
from fusionprog.prompts.mixture import Mixture

_HEADINGS = {"hint": "What to know:", "constraint": "Rules:"}


class Line(NamedTuple):
    """One line of instructions and the item it comes from (``None``: the signature's own text)."""

    text: str
    item: str | None


_item = attrgetter("item")
_NOBODY = frozenset({None})


@dataclass(frozen=True)
class Composition:
    """What a node's prompt says beside its signature's fields.

    Attributes:
        lines: The instructions, line by line.
        demos: Demonstrations with the item each comes from (``None``: the program's own).
        format: ``chat``, ``json`` or ``xml``.
    """

    lines: tuple[Line, ...]
    demos: tuple[tuple[str | None, Demo], ...]
    format: str

    @property
    def instructions(self) -> str:
        """The instructions as one text."""
        return "\n".join(line.text for line in self.lines)

    @cached_property
    def items(self) -> frozenset[str]:
        """The items that the instructions have lines of."""
        return frozenset(map(_item, self.lines)) - _NOBODY

    @property
    def key(self) -> tuple[Hashable, ...]:
        """What tells compositions apart while the items live: equal keys render alike, with equal items."""
        return self.lines, tuple((item, id(demo)) for item, demo in self.demos), self.format


def compose(
    written: str,
    mixture: Mixture,
    offered: Mapping[str, Content],
    format: str,
    written_demos: Sequence[Demo] = (),
) -> Composition:
    """Returns one prompt's instructions and demonstrations.

    The order is role, the signature's own instructions, further instructions, pattern, hints, constraints; heavier
    items first within a facet. A demonstration that two sets hold is shown once.

    Args:
        written: The signature's own instructions; never edited.
        mixture: The node's mixtures in the task.
        offered: Item → its text or demonstrations here.
        format: ``chat``, ``json`` or ``xml``.
        written_demos: The program's own demonstrations; they come first.
    """
    blocks: list[list[Line]] = [[*_lines(written, None)]] if written.strip() else []
    for facet in TEXT_FACETS:
        block: list[Line] = []
        for item in mixture.chosen(facet):
            text = offered[item.id]
            assert isinstance(text, str)
            block += _lines(text, item.id)
        if block and facet in _HEADINGS:
            block.insert(0, Line(_HEADINGS[facet], block[0].item))
        if block:
            blocks.insert(0 if facet == "role" else len(blocks), block)
    lines = [line for block in blocks for line in (Line("", None), *block)][1:]
    demos: dict[str, tuple[str | None, Demo]] = {_key(demo): (None, demo) for demo in written_demos}
    for item in mixture.chosen("demos"):
        rows = offered[item.id]
        assert not isinstance(rows, str)
        for demo in rows[: item.amount]:
            demos.setdefault(_key(demo), (item.id, demo))
    return Composition(tuple(lines), tuple(demos.values()), format)


@lru_cache(maxsize=10_000)
def _lines(text: str, item: str | None) -> tuple[Line, ...]:
    """A text's lines; the same few texts are in most prompts."""
    return tuple(Line(line, item) for line in text.splitlines())


def _key(demo: Demo) -> str:
    return repr(sorted(demo.items()))
