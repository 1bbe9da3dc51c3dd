"""Rate limits that processes share, kept on the server's clock.

The generic cell rate algorithm in its virtual scheduling form: a row holds the time at which the next request may be
sent, and every request moves it on by its own cost.

References:
    ITU-T Recommendation I.371, Traffic control and congestion control in B-ISDN, annex A.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from psycopg import Connection

from fusionprog.store.asks import Correct, Pace

_RESERVE = """
with clock as materialized (select extract(epoch from clock_timestamp())::float8 as now)
insert into fusionprog_rates as rates (model, requests_at, tokens_at)
select model, now + requests_cost, now + tokens_cost
from clock, unnest(%s::text[], %s::float8[], %s::float8[]) as asked(model, requests_cost, tokens_cost)
on conflict (model) do update set
    requests_at = greatest(rates.requests_at, (select now from clock)) + excluded.requests_at - (select now from clock),
    tokens_at = greatest(rates.tokens_at, (select now from clock)) + excluded.tokens_at - (select now from clock)
returning model, requests_at - (select now from clock), tokens_at - (select now from clock)
"""

_CORRECT = """
update fusionprog_rates as rates set tokens_at = rates.tokens_at + used.cost
from unnest(%s::text[], %s::float8[]) as used(model, cost) where rates.model = used.model
"""


def reserve(connection: Connection, asks: Sequence[Pace]) -> list[tuple[Pace, float]]:
    """Reserves a place for every ask, in order, in one statement.

    Returns:
        Each ask with the seconds to wait before its request is sent, 0 or more.
    """
    by_model: dict[str, list[Pace]] = defaultdict(list)
    for ask in asks:
        by_model[ask.model].append(ask)
    # In one order, so that processes wait for each other and never each for the other.
    names = sorted(by_model)
    rows = connection.execute(
        _RESERVE,
        [
            names,
            [sum(ask.requests_cost for ask in by_model[name]) for name in names],
            [sum(ask.tokens_cost for ask in by_model[name]) for name in names],
        ],
    ).fetchall()
    waits: list[tuple[Pace, float]] = []
    for name, requests_end, tokens_end in rows:
        requests_at = requests_end - sum(ask.requests_cost for ask in by_model[name])
        tokens_at = tokens_end - sum(ask.tokens_cost for ask in by_model[name])
        for ask in by_model[name]:
            waits.append((ask, max(0.0, requests_at, tokens_at)))
            requests_at += ask.requests_cost
            tokens_at += ask.tokens_cost
    return waits


def correct(connection: Connection, corrections: Sequence[Correct]) -> None:
    """Gives back, or takes, what requests took in tokens beside what was reserved for them."""
    costs: dict[str, float] = defaultdict(float)
    for each in corrections:
        costs[each.model] += each.tokens_cost
    names = sorted(costs)
    connection.execute(_CORRECT, [names, [costs[name] for name in names]])
