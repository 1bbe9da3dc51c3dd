"""Names for classes, so that objects are rebuilt from a name and arguments."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns advice that lists the known names, the closest one first."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(repr(each) for each in names) or "nothing"
    return f"Did you mean {close[0]!r}? Known are {listed}" if close else f"Known are {listed}"


T = TypeVar("T")


class Registry(Generic[T]):
    """A catalogue of the classes that play one role, by name.

    Args:
        role: What the classes are, for messages (``"module"``).
        error: Makes the error for an unknown name; takes the problem and ``fix=``.
    """

    def __init__(self, role: str, error: Callable[..., Exception]) -> None:
        self.role = role
        self._error = error
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Returns a decorator that enters its class (or function) under ``name``.

        The same definition run again, as in a notebook, takes the place of the first.
        """

        def enter(entry: T) -> T:
            if name in self._entries and _definition(self._entries[name]) != _definition(entry):
                raise self._error(f"two {self.role}s are registered as {name!r}", fix="Rename one of them")
            self._entries[name] = entry
            return entry

        return enter

    def get(self, name: str) -> T:
        """Returns the entry called ``name``.

        Raises:
            Exception: the registry's own, if there is none; it names the closest one.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise self._error(
                f"there is no {self.role} called {name!r}", fix=did_you_mean(name, self._entries)
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))


def _definition(entry: object) -> tuple[str, str]:
    return getattr(entry, "__module__", ""), getattr(entry, "__qualname__", repr(entry))
