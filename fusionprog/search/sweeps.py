"""Searches one after the other for one program: what they may spend, and what they recorded together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from fusionprog.errors import BudgetError
from fusionprog.lm.budget import Budget
from fusionprog.runtime.record import Comparison, CompileRecord, TaskRecord


def budget_left(budget: Budget | None, spent: Mapping[str, float], seconds: float) -> Budget | None:
    """Returns what the next search may spend; ``None`` where nothing binds.

    Args:
        budget: What all may.
        spent: What was spent so far: ``calls``, ``tokens`` and ``usd``.
        seconds: The time that it took.

    Raises:
        BudgetError: if nothing is left.
    """
    if budget is None:
        return None
    used = {**spent, "seconds": seconds}
    limits = {"calls": budget.calls, "tokens": budget.tokens, "usd": budget.usd, "seconds": budget.seconds}
    left = {name: None if limit is None else limit - used.get(name, 0) for name, limit in limits.items()}
    for name, value in left.items():
        if value is not None and value <= 0:
            raise BudgetError(f"the budget's {name} are used up")
    calls, tokens = (None if left[name] is None else int(left[name] or 0) for name in ("calls", "tokens"))
    return Budget(calls=calls, tokens=tokens, usd=left["usd"], seconds=left["seconds"])


def in_sequence(first: CompileRecord, last: CompileRecord) -> CompileRecord:
    """Returns the record of two searches of which the second went on from what the first found.

    Args:
        first: What the first one recorded, of which what tasks followed before is kept.
        last: What the second one recorded.
    """
    growth = last.growth
    if growth is not None and first.growth is not None:
        growth = replace(growth, scores=(*first.growth.scores[:-1], growth.scores[-1]), stages=first.growth.stages)
    return replace(
        last,
        tasks={name: _in_sequence(first.tasks[name], each) for name, each in last.tasks.items()},
        improved=first.improved or last.improved,
        trials=first.trials + last.trials,
        spent={name: first.spent.get(name, 0) + value for name, value in last.spent.items()},
        phases=dict(Counter(first.phases) + Counter(last.phases)),
        refused=(*first.refused, *last.refused),
        growth=growth,
    )


def _in_sequence(first: TaskRecord, last: TaskRecord) -> TaskRecord:
    """What a task gained from where the first search found it to where the second one left it.

    The searches may confirm on other numbers of rows: the gain is the sum of both, with both errors.
    """
    if first.replaced is None or last.replaced is None:
        return last
    before, after = first.replaced, last.replaced
    gain, error = before.gain + after.gain, math.hypot(before.se, after.se)
    return replace(last, replaced=Comparison(before.before, after.after, gain, error))
