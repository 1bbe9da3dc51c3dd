"""The confirmation part, fold by fold: finalists, the program as written, and what tasks followed before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.evaluation.statistics import compare
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.record import Comparison
from fusionprog.search.bench import Bench, Outcomes, mean_tokens
from fusionprog.search.confirmation import Decision, Finalist
from fusionprog.search.constraints import Usage, usage_of
from fusionprog.search.settling import Standing

Rows = Mapping[str, Sequence[Row]]
Vouched = Callable[[Schedule], tuple[float, float] | None]
"""Returns the mean gain that sources make one expect of a schedule, and its standard error."""


class Confirmations:
    """Compares finalists on rows that nothing was searched on.

    Args:
        bench: Where to measure.
        before: Stands for what the tasks followed before, if anything.
        priced: Whether dollars count in the choice.

    Attributes:
        finalists: What was compared so far.
        unchanged: Task → the program as written against itself, on the last fold's rows.
        written: Task → what a call of the program as written takes.
    """

    def __init__(self, bench: Bench, before: Schedule | None, *, priced: bool) -> None:
        self.finalists: list[Finalist] = []
        self.unchanged: dict[str, Comparison] = {}
        self.written: dict[str, Usage] = {}
        self._bench = bench
        self._before = before
        self._priced = priced
        self._rows: list[Rows] = []
        self._standings: list[Standing] = []
        self._last: tuple[Rows, Standing | None] = {}, None

    async def add(
        self,
        chosen: Sequence[Schedule],
        rows: Rows,
        weights: Mapping[str, float],
        vouched: Vouched,
    ) -> None:
        """Measures a fold's finalists, as far as the budget goes; ``bench.ended_by`` says what cut it short.

        Args:
            chosen: The finalists.
            rows: Task → rows.
            weights: Task → how much it counted at the end of the search.
            vouched: What sources vouch for.
        """
        known = [] if self._before is None else [self._before]
        baseline, *results = await self._bench.measure_all([Schedule(), *known, *chosen], rows)
        rows = {task: rows[task][: len(mine)] for task, mine in baseline.items()}
        self.unchanged, self.written = paired(baseline, baseline), usage_of(baseline)
        before = results.pop(0) if known else None
        self._last = rows, None if before is None else _standing(baseline, before, before)
        for schedule, outcomes in zip(chosen, results, strict=True):
            self.finalists.append(
                Finalist(
                    schedule,
                    paired(baseline, outcomes),
                    self.unchanged,
                    mean_tokens(outcomes),
                    usage_of(outcomes),
                    self.written,
                    weights,
                    paired(baseline, outcomes, lambda each: each.value) if self._priced else {},
                    vouched(schedule),
                )
            )
            self._rows.append(rows)
            if before is not None:
                self._standings.append(_standing(baseline, before, outcomes))

    def rows_of(self, decision: Decision) -> Rows:
        """Returns the rows that what is returned was compared on."""
        place = self._place(decision)
        return self._last[0] if place is None else self._rows[place]

    def standing_of(self, decision: Decision) -> Standing | None:
        """Returns how what tasks followed before compares with what was found; ``None`` where they followed nothing."""
        place = self._place(decision)
        return self._last[1] if place is None or not self._standings else self._standings[place]

    def _place(self, decision: Decision) -> int | None:
        if not decision.improved:
            return None
        return [each.schedule for each in self.finalists].index(replace(decision.schedule, as_written=()))


def paired(
    before: Outcomes, after: Outcomes, value: Callable[[Outcome], float] = lambda each: each.score
) -> dict[str, Comparison]:
    """Returns task → before against after, on the same rows."""
    return {task: compare(list(map(value, before[task])), list(map(value, after[task]))) for task in before}


def _standing(written: Outcomes, before: Outcomes, found: Outcomes) -> Standing:
    return Standing(paired(written, before), paired(before, before), paired(before, found), paired(before, written))
