"""Who asks a model which question, among processes that share a store.

The right to ask is an advisory lock of the session, so it ends with the process that has it, however that ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection

from fusionprog.errors import StoreError
from fusionprog.store.asks import Abandon, Ask, Correct, Find, GiveUp, Pace, deliver
from fusionprog.store.calls import CallRow, StoredCall
from fusionprog.store.failures import closed_store, store_failure
from fusionprog.store.locks import key_number
from fusionprog.store.nul import unescaped
from fusionprog.store.pacing import correct, reserve
from fusionprog.store.session import Session

_POLL = 0.05  # seconds between looks at what other processes are asking
_TOUCH, _STOPPED = 15.0, 60.0  # seconds between signs of life, and without one until a process must be stopped, or hang
_FIND = """
select key, created, text, input_tokens, output_tokens, usd, finish
from fusionprog_calls where key = any(%s::bytea[])
"""
# The limit ends the trying: what is beyond it is not locked.
_LOCK = "select number from unnest(%s::bigint[]) as number where pg_try_advisory_lock(number) limit %s"
# A process shows that it lives by using its connection; the server closes that of one which does not.
_END_STOPPED = """
select pg_terminate_backend(pid) from pg_stat_activity
where usename = current_user and pid <> pg_backend_pid()
and state_change < clock_timestamp() - make_interval(secs => %s)
and pid in (
    select pid from pg_locks
    where locktype = 'advisory' and granted and objsubid = 1
    and ((classid::bigint << 32) | objid::bigint) = any(%s::bigint[])
)
"""
_UNLOCK = "select pg_advisory_unlock(number) from unnest(%s::bigint[]) as number"


class Claims:
    """Finds answers or takes the right to ask for them, all in the store's thread.

    Args:
        session: Holds the locks.
        name: The store, as it may be shown.

    Attributes:
        most: Claims that this process may hold at once; ``None`` for any number. Who claims more than it can ask at
            once keeps others from asking.
    """

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name
        self._waiting: dict[Find, None] = {}
        self._held: set[int] = set()
        self._next_look = self._next_touch = 0.0
        self.most: int | None = None
        session.returned = self._take_again

    def serve(self, asks: Sequence[Any], written: Sequence[CallRow]) -> float | None:
        """Answers what can be answered now; see ``Desk.serve``."""
        new: dict[Find, None] = {}
        freed = [key_number(row.key) for row in written]
        paces: list[Pace] = []
        corrections: list[Correct] = []
        for ask in asks:
            match ask:
                case Find():
                    new[ask] = None
                case Abandon(find):
                    new.pop(find, None)
                    self._waiting.pop(find, None)
                    if find.claimed:
                        freed.append(key_number(find.key))
                case GiveUp(key):
                    freed.append(key_number(key))
                case Pace():
                    paces.append(ask)
                case Correct():
                    corrections.append(ask)
        now = time.monotonic()
        looks = list(new)
        if now >= self._next_look or freed:
            looks = [*self._waiting, *looks]
            self._next_look = now + _POLL
        self._waiting.update(new)
        try:
            self._free(freed)
            if now >= self._next_touch:
                self._next_touch = now + _TOUCH
                self._session.run(self._show_life, "read")
            if looks:
                self._answer(self._session.run(lambda connection: self._look(connection, looks), "read"))
            if corrections:
                self._session.run(lambda connection: correct(connection, corrections), "written")
            if paces:
                self._answer(self._session.run(lambda connection: reserve(connection, paces), "written"))
        except Exception as error:
            failure = error if isinstance(error, StoreError) else store_failure(self._name, "read", error)
            # Locks that were taken before the failure end with their connection. Where nobody waits there is nobody to
            # tell: what is held is taken again when the connection is back, and who needs it next gets its own error.
            self._session.close()
            self._answer([(ask, failure) for ask in (*self._waiting, *paces)])
        return _POLL if self._waiting else _TOUCH if self._held else None

    def close(self) -> None:
        """Ends the waiting of all who are not answered, and all claims."""
        self._answer([(find, closed_store(self._name)) for find in self._waiting])
        self._session.close()

    def _answer(self, answers: Iterable[tuple[Ask, Any]]) -> None:
        answers = list(answers)
        for ask, _ in answers:
            if isinstance(ask, Find):
                self._waiting.pop(ask, None)
        unheard = deliver(answers)
        self._free([key_number(ask.key) for ask in unheard if isinstance(ask, Find) and ask.claimed])

    def _free(self, numbers: Iterable[int]) -> None:
        mine = [number for number in dict.fromkeys(numbers) if number in self._held]
        if mine:
            # Forgotten first: a connection that is lost has freed them itself.
            self._held.difference_update(mine)
            self._session.run(lambda connection: connection.execute(_UNLOCK, [mine]), "written")

    def _look(self, connection: Connection, looks: Sequence[Find]) -> list[tuple[Find, StoredCall | None]]:
        found = _stored(connection, looks)
        missing = [find for find in looks if find not in found]
        if not missing:
            return list(found.items())
        numbers = [number for number in map(key_number, (find.key for find in missing)) if number not in self._held]
        room = None if self.most is None else max(0, self.most - len(self._held))
        taken = _locked(connection, numbers, room) if numbers and room != 0 else set[int]()
        all_tried = room is None or len(taken) < room
        if taken:
            # In a new statement: the one who had the lock may have stored its answer after the first was begun.
            found |= _stored(connection, [find for find in missing if key_number(find.key) in taken])
            missing = [find for find in missing if find not in found]
            unused = taken - {key_number(find.key) for find in missing}
            if unused:
                connection.execute(_UNLOCK, [sorted(unused)])
            taken -= unused
        # What was taken counts from here on; a connection that is lost before has freed it.
        self._held |= taken
        answers: list[tuple[Find, StoredCall | None]] = list(found.items())
        for find in missing:
            number = key_number(find.key)
            if number in self._held:
                find.claimed = number in taken
                taken.discard(number)
                answers.append((find, None))
            elif all_tried:
                find.blocked = time.monotonic() if find.blocked is None else find.blocked
        return answers

    def _show_life(self, connection: Connection) -> None:
        """Uses the connection, and has those closed that others do not use, and that are waited for."""
        long = time.monotonic() - _STOPPED
        numbers = [key_number(find.key) for find in self._waiting if find.blocked is not None and find.blocked < long]
        connection.execute(_END_STOPPED, [_STOPPED, numbers])

    def _take_again(self, connection: Connection) -> None:
        """Takes the rights of a lost connection again, as far as nobody else has taken them meanwhile."""
        if self._held:
            self._held = _locked(connection, sorted(self._held), None)


def _locked(connection: Connection, numbers: Sequence[int], most: int | None) -> set[int]:
    """Locks those of the numbers that nobody has, in their order, and returns them; at most so many."""
    return {number for (number,) in connection.execute(_LOCK, [list(dict.fromkeys(numbers)), most])}


def _stored(connection: Connection, finds: Sequence[Find]) -> dict[Find, StoredCall]:
    keys = list({find.key for find in finds})
    rows = {row[0]: row[1:] for row in connection.execute(_FIND, [keys])}
    found: dict[Find, StoredCall] = {}
    for find in finds:
        row = rows.get(find.key)
        if row is not None and row[0] >= find.since:
            found[find] = StoredCall(unescaped(row[1]), *row[2:])
    return found
