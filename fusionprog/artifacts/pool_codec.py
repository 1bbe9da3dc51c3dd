"""The pool to and from an artifact's entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusionprog._internal.canonical import jsonable
from fusionprog.errors import ArtifactError, FusionProgError
from fusionprog.prompts.items import FACETS, Facet, Family, Item
from fusionprog.prompts.pool import PromptPool, item_entry, item_from


class RecordedFamily(Item):
    """A family of a loaded artifact: its kind and arguments, without the builder that made its texts.

    A loaded program runs on the texts that were made; the builder may be the user's own code.

    Attributes:
        entry: The family as the entry of a pool file, with its facet.
    """

    def __init__(self, entry: Mapping[str, Any], where: str) -> None:
        self.entry = dict(entry)
        self.id = str(entry.get("id", ""))
        self.facet = facet_named(str(entry.get("facet", "")), where)
        self.pinned = entry.get("pinned") is True
        nodes = entry.get("nodes", [])
        self.nodes = tuple(str(node) for node in nodes) if isinstance(nodes, list) else ()

    @property
    def key_text(self) -> str:
        """Its kind."""
        return str(self.entry["family"])


def encode_pool(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Returns the items as entries of a pool file; a family's has its facet too."""
    entries = []
    for item in items:
        if isinstance(item, RecordedFamily):
            entries.append(item.entry)
        else:
            facet = {"facet": item.facet} if isinstance(item, Family) else {}
            entries.append({**jsonable(item_entry(item)), **facet})
    return entries


def decode_pool(entries: Sequence[Mapping[str, Any]]) -> dict[str, Item]:
    """Returns the items by id.

    Raises:
        ArtifactError: if an entry is not sound or an id occurs twice.
    """
    try:
        pool = PromptPool(_item(entry, f"pool entry {index}") for index, entry in enumerate(entries))
    except ArtifactError:
        raise
    except FusionProgError as error:
        raise ArtifactError("the artifact's pool is not sound", found=str(error)) from error
    return {item.id: item for item in pool}


def facet_named(name: str, where: str) -> Facet:
    """Returns the facet of that name.

    Raises:
        ArtifactError: if there is none.
    """
    for facet in FACETS:
        if facet == name:
            return facet
    raise ArtifactError(f"{where}: {name!r} is no facet", expected=", ".join(FACETS))


def _item(entry: Mapping[str, Any], where: str) -> Item:
    return RecordedFamily(entry, where) if "family" in entry else item_from(entry, where)
