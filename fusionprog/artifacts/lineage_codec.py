"""Lineage to and from the artifact."""

from __future__ import annotations

from collections.abc import Iterable

from fusionprog.artifacts.lineage_schema import LineageSpec, ParentSpec
from fusionprog.errors import ArtifactError
from fusionprog.runtime.lineage import Lineage, Parent


def lineage_spec(lineage: Lineage) -> LineageSpec | None:
    """Returns a lineage as the artifact holds it; ``None`` for an empty one."""
    if not lineage.parents:
        return None
    return LineageSpec(
        parents=_specs(lineage.parents), further={name: _specs(each) for name, each in lineage.further.items()}
    )


def decode_lineage(spec: LineageSpec | None, own: str) -> Lineage:
    """Returns the lineage of an artifact.

    Args:
        spec: What the artifact says.
        own: The artifact's content hash.

    Raises:
        ArtifactError: if a program would be its own ancestor, or the parents of no ancestor are named.
    """
    if spec is None:
        return Lineage()
    lineage = Lineage(_parents(spec.parents), {name: _parents(each) for name, each in spec.further.items()})
    if (name := lineage.loop(own)) is not None:
        raise ArtifactError(
            "the lineage goes in a circle",
            expected="parents that were there before it",
            found=f"{name}, which is {'the program itself' if name == own else 'its own ancestor'}",
            fix="Use the file as it was written; a lineage cannot be made by hand",
        )
    known = lineage.distances()
    if unknown := [name for name in lineage.further if name not in known]:
        raise ArtifactError(f"the lineage tells the parents of {unknown[0]}, which is no ancestor of the program")
    return lineage


def _specs(parents: Iterable[Parent]) -> list[ParentSpec]:
    return [
        ParentSpec(hash=each.hash, program=each.program, kind=each.kind, change=each.change[:200]) for each in parents
    ]


def _parents(specs: Iterable[ParentSpec]) -> tuple[Parent, ...]:
    return tuple(Parent(each.hash, each.program, each.kind, each.change) for each in specs)
