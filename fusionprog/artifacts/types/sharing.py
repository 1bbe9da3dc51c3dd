"""One class for equal definitions.

Every field is written with the models that it needs, so a model that two nodes share stands in the file twice.
Rebuilt twice, it would be two classes, and the output of one node would no longer be what the next one takes.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final

REFERENCE: Final = "#/$defs/"
"""What a reference to a definition starts with."""

BUILDING: Final = threading.RLock()
"""Held while classes are built, so that two threads do not build the same one."""

# Weak, so that a class lives as long as a program that uses it and those that it refers to.
_CLASSES: weakref.WeakValueDictionary[tuple[Any, ...], type] = weakref.WeakValueDictionary()


class SharedClasses:
    """The classes that stand for the definitions of one encoded type."""

    def __init__(self, definitions: Mapping[str, Any], supplied: Mapping[str, type]) -> None:
        """Start with the classes that the user has.

        Args:
            definitions: The encoded models and enumerations by name.
            supplied: Classes that take the place of definitions, by name.
        """
        self._definitions = definitions
        self._supplied = supplied

    def find(self, name: str) -> dict[str, type]:
        """Look for a class that need not be built.

        Args:
            name: A definition.

        Returns:
            The class, and those that it refers to, by name; empty if it must be built.
        """
        if name in self._supplied:
            return {name: self._supplied[name]}
        cls = _CLASSES.get(self._key(name))
        if cls is None:
            return {}
        # Those that it refers to are there because it refers to them.
        others = self._reached(name)
        return {other: self._supplied.get(other) or _CLASSES[self._key(other)] for other in others}

    def keep(self, classes: Mapping[str, type]) -> None:
        """Let others find what was built.

        Args:
            classes: Classes that are complete, by name.
        """
        for name in classes.keys() - self._supplied.keys():
            _CLASSES.setdefault(self._key(name), classes[name])

    def _reached(self, name: str) -> dict[str, Any]:
        reached = {name: self._definitions[name]}
        waiting = [name]
        while waiting:
            for target in _references(self._definitions[waiting.pop()]):
                if target in self._definitions and target not in reached:
                    reached[target] = self._definitions[target]
                    waiting.append(target)
        return reached

    def _key(self, name: str) -> tuple[Any, ...]:
        reached = self._reached(name)
        supplied = ((other, self._supplied[other]) for other in sorted(reached) if other in self._supplied)
        return name, json.dumps(reached, sort_keys=True), *supplied


def _references(encoded: Any) -> Iterator[str]:
    waiting = [encoded]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            target = value.get("$ref")
            if isinstance(target, str):
                yield target.removeprefix(REFERENCE)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
