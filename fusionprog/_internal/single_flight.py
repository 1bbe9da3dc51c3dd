"""Work that several callers ask for at the same time is done once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class SingleFlight(Generic[V]):
    """Does work once for all who ask for the same key while it is being done.

    The first who asks does the work in its own task. If it is cancelled, one of those who wait does it instead; if the
    work fails, all who wait get the error.
    """

    def __init__(self) -> None:
        self._flying: dict[Hashable, asyncio.Future[V]] = {}

    async def get(self, key: Hashable, work: Callable[[], Awaitable[V]]) -> V:
        """Returns what ``work()`` returns, or what another caller's did."""
        while (flying := self._flying.get(key)) is not None:
            try:
                return await asyncio.shield(flying)
            except asyncio.CancelledError:
                if not flying.cancelled():  # it was this caller that was cancelled
                    raise
        landed: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._flying[key] = landed
        try:
            value = await work()
        except asyncio.CancelledError:
            landed.cancel()
            raise
        except BaseException as error:
            landed.set_exception(error)
            landed.exception()  # looked at here, since nobody may be waiting for it
            raise
        finally:
            del self._flying[key]
        landed.set_result(value)
        return value


class Memo(Generic[V]):
    """Remembers what work returned; failures and cancelled work are not remembered.

    Args:
        capacity: How much it remembers; what was used longest ago is forgotten first.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._known: OrderedDict[Hashable, V] = OrderedDict()
        self._flight: SingleFlight[V] = SingleFlight()

    async def get(self, key: Hashable, work: Callable[[], Awaitable[V]]) -> V:
        """Returns what is remembered under ``key``; else does the work, once for all who ask at the same time."""
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]

        async def remembered() -> V:
            value = self._known[key] = await work()
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
            return value

        return await self._flight.get(key, remembered)
