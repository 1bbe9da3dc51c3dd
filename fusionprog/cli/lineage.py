"""What a program was made from, in lines."""

from __future__ import annotations

from fusionprog.cli.terminal import inert
from fusionprog.runtime.lineage import Lineage

SHORT_HASH = 12


def lineage_lines(lineage: Lineage) -> list[str]:
    """Returns a line for each parent, and how many programs came before them; nothing where there are none."""
    lines = []
    for each in lineage.parents:
        change = f" ({each.change})" if each.change else ""
        lines.append(inert(f"made by {each.kind} from {each.program} {each.hash[:SHORT_HASH]}{change}"))
    before = len(lineage.distances()) - len({each.hash for each in lineage.parents})
    return [*lines, f"and {before:,} before that"] if before else lines
