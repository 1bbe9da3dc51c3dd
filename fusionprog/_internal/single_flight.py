"""Work that several callers ask for at the same time is done once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar, TypeVarTuple

Ts = TypeVarTuple("Ts")
V = TypeVar("V")


class SingleFlight(Generic[V]):
    """Does work once for all who ask for the same key while it is being done.

    The first who asks does the work in its own task. If it is cancelled, one of those who wait does it instead; if the
    work fails, all who wait get the error.
    """

    def __init__(self) -> None:
        # Most work is asked for once, so there is a future only from the first who waits on.
        self._flying: dict[Hashable, asyncio.Future[V] | None] = {}

    async def get(self, key: Hashable, work: Callable[[*Ts], Awaitable[V]], *arguments: *Ts) -> V:
        """Returns what ``work(*arguments)`` returns, or what another caller's did."""
        while key in self._flying:
            landing = self._landing(key)
            try:
                return await asyncio.shield(landing)
            except asyncio.CancelledError:
                if not landing.cancelled():  # it was this caller that was cancelled
                    raise
        self._flying[key] = None
        try:
            value = await work(*arguments)
        except BaseException as error:
            self._fail(key, error)
            raise
        waited = self._flying.pop(key)
        if waited is not None:
            waited.set_result(value)
        return value

    def _landing(self, key: Hashable) -> asyncio.Future[V]:
        landing = self._flying[key]
        if landing is None:
            landing = self._flying[key] = asyncio.get_running_loop().create_future()
        return landing

    def _fail(self, key: Hashable, error: BaseException) -> None:
        waited = self._flying.pop(key)
        if waited is None:
            return
        if isinstance(error, asyncio.CancelledError):
            waited.cancel()
        else:
            waited.set_exception(error)
            waited.exception()  # looked at here, since those who waited may have been cancelled


class Memo(Generic[V]):
    """Remembers what work returned; failures and cancelled work are not remembered.

    Args:
        capacity: How much it remembers; what was used longest ago is forgotten first.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._known: OrderedDict[Hashable, V] = OrderedDict()
        self._flight: SingleFlight[V] = SingleFlight()

    def find(self, key: Hashable) -> V | None:
        """Returns what is remembered under ``key``; ``None`` where that is nothing."""
        value = self._known.get(key)
        if value is not None:
            self._known.move_to_end(key)
        return value

    async def get(self, key: Hashable, work: Callable[[*Ts], Awaitable[V]], *arguments: *Ts) -> V:
        """Returns what is remembered under ``key``; else does the work, once for all who ask at the same time."""
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        value = self._known[key] = await self._flight.get(key, work, *arguments)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return value
