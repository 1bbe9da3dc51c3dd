"""Families of a loaded artifact, made again by the builders that are registered under their names."""

from __future__ import annotations

from collections.abc import Iterable

from fusionprog.artifacts.pool_codec import RecordedFamily
from fusionprog.errors import PoolError
from fusionprog.prompts.items import Item, family_registry


def with_builders(items: Iterable[Item]) -> list[Item]:
    """Returns items with families that can make texts for new tasks.

    Raises:
        PoolError: if a family's builder is not registered, or does not take the arguments that the artifact has.
    """
    return [_built(item) if isinstance(item, RecordedFamily) else item for item in items]


def _built(item: RecordedFamily) -> Item:
    spec = item.spec
    if spec.family not in family_registry:
        raise PoolError(
            f"the family {item.id!r} cannot make texts for new tasks: its builder {spec.family!r} is not known here",
            expected=f"one of {', '.join(family_registry)}",
            fix="Import the module that registers it first",
        )
    try:
        made = family_registry.get(spec.family)(id=spec.id, nodes=spec.nodes, pinned=spec.pinned, **spec.arguments)
    except (PoolError, TypeError, ValueError) as error:
        raise PoolError(
            f"the family {item.id!r} cannot be made again: its builder {spec.family!r} is another one now",
            found=str(error)[:200],
            fix="Use the version of the builder that the program was compiled with",
        ) from error
    if made.facet != spec.facet:
        raise PoolError(f"the family {item.id!r} is of another facet now", expected=spec.facet, found=made.facet)
    return made
