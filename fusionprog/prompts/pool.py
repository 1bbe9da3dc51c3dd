"""A pool: the items on offer, shared by all nodes and tasks."""

from __future__ import annotations

import functools
import importlib.resources
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import PoolError
from fusionprog.prompts.items import DemoSet, Family, Fragment, Item, family_registry


@functools.cache
def _ready_made() -> Any:
    """What the file of the ready-made fragments holds; reading it takes longer than all else that is done with it."""
    return yaml.safe_load(importlib.resources.files("fusionprog.prompts").joinpath("patterns.yaml").read_text("utf-8"))


class PromptPool:
    """The fragments, demonstration sets and families on offer, in order, each id once.

    Pools are joined with ``|``; an item that is in both must be the same one.

    Example:
        >>> import fusionprog as fp
        >>> pool = fp.PromptPool.patterns() | fp.PromptPool([
        ...     fp.Fragment("short", "Answer in one word.", facet="constraint"),
        ... ])
        >>> "short" in pool
        True
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        """Makes a pool.

        Raises:
            PoolError: if an entry is no item or an id occurs twice.
        """
        if not isinstance(items, Iterable):
            raise PoolError("the pool holds no items", expected="a list of items", found=repr(items))
        self._items: dict[str, Item] = {}
        for item in items:
            if not isinstance(item, Item):
                raise PoolError(
                    "the pool holds something else",
                    expected="Fragment, DemoSet or a builder",
                    found=repr(item),
                )
            if item.id in self._items:
                raise PoolError(f"two items have the id {item.id!r}", fix="Give each item an id of its own")
            self._items[item.id] = item

    @classmethod
    def patterns(cls) -> PromptPool:
        """Returns the ready-made fragments: roles, instructions, ways to reason, constraints."""
        return cls(_items_from(_ready_made(), "the ready-made patterns"))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> PromptPool:
        """Reads a pool from a YAML or JSON file with a list ``items``.

        An entry is a fragment (``id``, ``facet``, ``text`` or ``texts``, …), a demonstration set (``id``,
        ``node``, ``demos``, …) or a family (``family``: its kind, and its arguments).

        Raises:
            PoolError: if the file is missing or no pool, or an entry is not sound; the entry is named.
        """
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8-sig")
            data = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
        except OSError as error:
            raise PoolError(f"the pool file {str(file)!r} cannot be read", found=str(error)) from error
        except (ValueError, yaml.YAMLError) as error:
            raise PoolError(f"the pool file {str(file)!r} is neither YAML nor JSON", found=str(error)) from error
        return cls(_items_from(data, f"the pool file {str(file)!r}"))

    def __or__(self, other: PromptPool) -> PromptPool:
        if not isinstance(other, PromptPool):
            return NotImplemented
        merged = dict(self._items)
        for item in other:
            mine = merged.setdefault(item.id, item)
            if mine is not item and (type(mine) is not type(item) or vars(mine) != vars(item)):
                raise PoolError(f"both pools have a different item {item.id!r}", fix="Rename one of them")
        return PromptPool(merged.values())

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    def __getitem__(self, item_id: str) -> Item:
        try:
            return self._items[item_id]
        except KeyError:
            raise PoolError(f"the pool has no item {item_id!r}", fix=did_you_mean(item_id, self._items)) from None

    def __repr__(self) -> str:
        return f"PromptPool({list(self._items)})"

    def validate(self, nodes: Iterable[str], domains: Iterable[str]) -> list[str]:
        """Checks that every name that an item mentions exists.

        Returns:
            Warnings: items that are offered nowhere.

        Raises:
            PoolError: if an item names an unknown node or item.
        """
        nodes, domains, warnings = dict.fromkeys(nodes), dict.fromkeys(domains), []
        for item in self:
            for node in item.nodes:
                if node not in nodes:
                    raise PoolError(f"item {item.id!r} is for an unknown node {node!r}", fix=did_you_mean(node, nodes))
            for other in (*item.requires, *item.conflicts):
                if other not in self._items:
                    raise PoolError(
                        f"item {item.id!r} names an unknown item {other!r}",
                        fix=did_you_mean(other, self._items),
                    )
            if item.domains and domains.keys().isdisjoint(item.domains):
                warnings.append(
                    f"item {item.id!r} is offered nowhere: its domains are {', '.join(item.domains)}, "
                    f"the tasks' are {', '.join(domains)}"
                )
        return warnings


def item_entry(item: Item) -> dict[str, Any]:
    """Returns an item as the entry of a pool file that ``PromptPool.from_file`` reads."""
    shared: dict[str, Any] = {"id": item.id}
    if item.pinned:
        shared["pinned"] = True
    if isinstance(item, Family):
        nodes = {"nodes": list(item.nodes)} if item.nodes else {}
        return {"family": item.kind, **item.arguments(), **shared, **nodes}
    if isinstance(item, DemoSet):
        entry = {**shared, "node": item.nodes[0], "domains": list(item.domains)}
        return {
            **{key: value for key, value in entry.items() if value},
            "demos": [dict(demo) for demo in item.demos],
        }
    assert isinstance(item, Fragment)
    lists = {key: list(getattr(item, key)) for key in ("nodes", "requires", "conflicts")}
    lists["domains"] = [] if item.texts else list(item.domains)
    texts: dict[str, Any] = {"texts": dict(item.texts)} if item.text is None else {"text": item.text}
    return {**shared, "facet": item.facet, **texts, **{key: value for key, value in lists.items() if value}}


def item_from(entry: Any, where: str) -> Item:
    """Returns the item that an entry of a pool file describes.

    Raises:
        PoolError: naming the entry and what is wrong with it.
    """
    if not isinstance(entry, Mapping):
        raise PoolError(f"{where} is no item", expected="a mapping", found=repr(entry)[:80])
    arguments = dict(entry)
    try:
        maker: Any = DemoSet if "demos" in arguments else Fragment
        if "family" in arguments:
            maker = family_registry.get(str(arguments.pop("family")))
        item: Item = maker(**arguments)
    except PoolError as error:
        raise PoolError(
            f"{where}: {error.problem}", expected=error.expected, found=error.found, fix=error.fix
        ) from error
    except (TypeError, ValueError) as error:
        raise PoolError(f"{where} is no item", found=str(error).partition("() ")[2] or str(error)) from error
    return item


def _items_from(data: Any, where: str) -> list[Item]:
    entries = data.get("items") if isinstance(data, Mapping) else None
    if not isinstance(entries, list) or set(data) != {"items"}:
        raise PoolError(f"{where} is no pool", expected="one list called 'items'", found=repr(data)[:80])
    return [item_from(entry, f"{where}, entry {index}") for index, entry in enumerate(entries)]
