"""``FusionCompiler``: one search over all tasks and nodes for how each should mix the shared pool."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna

from fusionprog._internal.together import together
from fusionprog.evaluation.evaluator import Evaluator, TaskScorer
from fusionprog.evaluation.statistics import compare
from fusionprog.lm.budget import Cost, Ledger
from fusionprog.lm.client import LMClient
from fusionprog.lm.slots import behind_others
from fusionprog.optimizers.registry import register_optimizer
from fusionprog.program.data import Row
from fusionprog.prompts.items import Item
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.executor import Executor, NodeMemo
from fusionprog.runtime.record import Comparison
from fusionprog.runtime.render import Renderer
from fusionprog.search.bench import Bench, Outcomes, block, mean_tokens, task_means
from fusionprog.search.bootstrap import bootstrap_traces
from fusionprog.search.confirmation import Finalist, decide
from fusionprog.search.emit import Result, emit
from fusionprog.search.events import Callback, Event, Finished, Note, PhaseStarted, StepDone
from fusionprog.search.kept_study import KeptStudy
from fusionprog.search.narrowing import narrow
from fusionprog.search.objective import objective_registry
from fusionprog.search.preflight import Job
from fusionprog.search.screening import Screened, screen
from fusionprog.search.space import Space, make_space
from fusionprog.search.split import Fold
from fusionprog.search.strategies import strategy_registry
from fusionprog.search.strategy import Setting
from fusionprog.search.study import run_study
from fusionprog.search.trials import Trials, used_up
from fusionprog.search.views import make_scorers


@register_optimizer("fusion")
class FusionCompiler:
    """Searches, with Optuna, how every node should mix the pool for every task at once.

    Items are tried alone first (screening); the search then moves the effects, temperatures and gates that all tasks
    share; its best candidates are measured on more rows, and the finalists and the program as written are compared
    on rows that nothing was searched on.

    Args:
        sampler: ``"effects"``, ``"tpe"`` or ``"random"``.
        objective: ``"mean"`` or ``"worst"``: how the tasks' scores become one number.

    Raises:
        FusionProgError: if the sampler or the objective is unknown.
    """

    def __init__(self, sampler: str = "effects", objective: str = "mean") -> None:
        self.strategy = strategy_registry.get(sampler)
        self.objective = objective_registry.get(objective)
        self._arguments = {"sampler": sampler, "objective": objective}

    def arguments(self) -> dict[str, Any]:
        """Returns sampler and objective."""
        return dict(self._arguments)

    async def compile(
        self,
        job: Job,
        client: LMClient,
        callbacks: Sequence[Callback],
        prior: Sequence[Schedule],
        kept: KeptStudy,
    ) -> CompiledProgram:
        """Returns the best program that was found; the one as written if nothing beat it.

        Args:
            job: What passed preflight.
            client: Makes and keeps the model calls.
            callbacks: Are told what happens.
            prior: Schedules whose effects are tried first.
            kept: Keeps the trials.
        """
        run = _Run(self, job, client, callbacks, prior, kept)
        return await run.compile({"name": "fusion", **self._arguments})

    async def search(self, run: _Run, fold: Fold, number: int, space: Space) -> list[Schedule]:
        """Returns the candidates of one fold's search, best first."""
        plan, bench = run.job.plan, run.bench

        def keep() -> Cost:
            return run.keep_for_later(number)

        strategy = self.strategy(Setting(space, bench, run.job.embeddings, run.job.seed, plan.trials, run.prior))
        screened, count = Screened({}, {}), plan.trials + plan.more_trials
        if strategy.screens:
            count = plan.trials
            run.tell(PhaseStarted("screening"))
            screened = await screen(
                bench,
                space,
                fold.search,
                plan.screening_calls,
                keep=keep,
                stepped=lambda step: run.tell(StepDone("screening", step, {}, {}, bench.spent)),
            )
        run.tell(PhaseStarted("search", count))
        (baseline,) = await bench.measure_all([Schedule()], block(fold.search, 0, plan.block), keep=keep())
        if bench.ended_by is not None:
            run.cut = used_up(bench.ended_by)
            return []
        strategy.observe(Schedule(), baseline)
        before = task_means(baseline)

        def finished(trial: optuna.trial.FrozenTrial, shown: Mapping[str, float]) -> None:
            run.kept.keep(number, trial)
            run.trials += 1
            run.tell(StepDone("search", trial.number + 1, before, shown, bench.spent))

        trials = Trials(
            bench,
            strategy,
            self.objective,
            fold.search,
            plan.block,
            before,
            keep=keep,
            time_left=lambda: run.time_left(number),
            finished=finished,
        )
        _, reason = await run_study(
            strategy=strategy,
            starts=strategy.starts(screened.effects),
            trials=count,
            window=plan.window,
            runner=trials,
        )
        if len(trials.tried) < count:
            run.cut = run.cut or reason
        return trials.ranked()


class _Run:
    """One compile: the books, the clock, and what the parts hand to each other."""

    def __init__(
        self,
        compiler: FusionCompiler,
        job: Job,
        client: LMClient,
        callbacks: Sequence[Callback],
        prior: Sequence[Schedule],
        kept: KeptStudy,
    ) -> None:
        self.compiler = compiler
        self.job = job
        self.prior = prior
        self.kept = kept
        self.trials = 0
        self.cut: str | None = None
        self.ledger = Ledger(job.budget)
        self.bench: Bench
        self._callbacks = callbacks
        self._client = client

    def tell(self, event: Event) -> None:
        """Hands an event to every callback; spending is booked under the phase that runs."""
        if isinstance(event, PhaseStarted):
            self.ledger.phase = event.phase
        for callback in self._callbacks:
            callback(event)

    def keep_for_later(self, fold: int) -> Cost:
        """Returns what must be left when a fold's search ends: for its confirmation, and for the folds to come.

        Tokens and dollars are taken at their mean so far, and at their worst for the first row. Calls need nothing
        here, since the plan cannot pass them.
        """
        plan, budget = self.job.plan, self.job.budget
        if not budget.by_size:
            return Cost()
        schedules = [Schedule()] * (plan.finalists + 1)
        first = self.bench.worst_case(schedules, block(self.job.folds[fold].confirmation, 0, 1))
        share = 1 - (fold + 1) / len(self.job.folds)
        folds = Cost(0, share * (budget.tokens or 0), share * (budget.usd or 0.0))
        kept = self._calls_after_search() * self.ledger.mean + first + folds
        return replace(kept, calls=0)

    def time_left(self, fold: int) -> float:
        """Returns the seconds that are left for a fold's trials, if the rest goes on at the pace so far."""
        if self.job.budget.seconds is None:
            return math.inf
        later = self.job.budget.seconds * (1 - (fold + 1) / len(self.job.folds))
        return self.ledger.time_left(self._calls_after_search()) - later

    def _calls_after_search(self) -> int:
        plan = self.job.plan
        rows = plan.contenders * (plan.narrowing - plan.block) + (plan.finalists + 1) * plan.confirmation
        return rows * self.bench.calls_per_row

    async def compile(self, optimizer: Mapping[str, Any]) -> CompiledProgram:
        """Runs all parts and returns the program."""
        job = self.job
        for note in job.notes:
            self.tell(Note(note))
        evaluator = Evaluator(Executor(self._client, NodeMemo()))
        traces: dict[str, dict[str, list[Any]]] = {}
        if job.plan.bootstrap:
            self.tell(PhaseStarted("bootstrap"))
            bare = {name: job.bare_scorer(name) for name in job.tasks}
            traces = await bootstrap_traces(job, self._bench(bare, evaluator, {}), evaluator)
        scorers = make_scorers(job, traces)
        items = {item.id: item for item in job.pool}
        self.bench = self._bench(scorers, evaluator, items)
        space = make_space(job, {name: scorer.view for name, scorer in scorers.items()}, items)
        ahead = self._measure_ahead()
        try:
            return await self._search_and_report(optimizer, scorers, items, space)
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    def _measure_ahead(self) -> asyncio.Future[Any]:
        """Measures what is sure to be asked for later, in slots that nothing else waits for.

        That is the program as written on the rows of confirmation and test: it fills the slots where one part of the
        compile ends and the next begins. Where size or time is limited, nothing is done ahead of its turn.
        """
        if self.job.budget.by_size or self.job.budget.seconds is not None:
            return asyncio.ensure_future(asyncio.sleep(0))
        parts = [block(fold.confirmation, 0, self.job.plan.confirmation) for fold in self.job.folds]
        parts.append({name: task.rows["test"] for name, task in self.job.tasks.items() if task.rows["test"]})
        with behind_others():
            return asyncio.gather(
                *(asyncio.ensure_future(self.bench.measure(Schedule(), rows)) for rows in parts), return_exceptions=True
            )

    async def _search_and_report(
        self,
        optimizer: Mapping[str, Any],
        scorers: Mapping[str, TaskScorer],
        items: Mapping[str, Item],
        space: Space,
    ) -> CompiledProgram:
        job = self.job
        finalists: list[Finalist] = []
        confirmed_on: list[Mapping[str, Sequence[Row]]] = []
        unchanged: dict[str, Comparison] = {}
        for number, fold in enumerate(job.folds):
            candidates = await self.compiler.search(self, fold, number, space)
            self.tell(PhaseStarted("narrowing"))
            chosen = await narrow(
                self.bench,
                self.compiler.objective,
                candidates,
                block(fold.search, 0, job.plan.narrowing),
                contenders=job.plan.contenders,
                finalists=job.plan.finalists,
                keep=self.keep_for_later(number),
            )
            self.tell(PhaseStarted("confirmation", len(chosen)))
            rows = block(fold.confirmation, 0, job.plan.confirmation)
            baseline, *results = await self.bench.measure_all([Schedule(), *chosen], rows)
            if self.bench.ended_by is not None:
                self.cut = self.cut or used_up(self.bench.ended_by)
            rows = {task: rows[task][: len(mine)] for task, mine in baseline.items()}
            unchanged = _paired(baseline, baseline)
            for schedule, outcomes in zip(chosen, results, strict=True):
                finalists.append(Finalist(schedule, _paired(baseline, outcomes), unchanged, mean_tokens(outcomes)))
            confirmed_on += [rows] * len(chosen)
        decision = decide(finalists, unchanged)
        known = [each.schedule for each in finalists]
        unclipped = replace(decision.schedule, as_written=())
        measured_on = confirmed_on[known.index(unclipped)] if decision.improved else rows
        self.tell(Note(decision.why))
        self.tell(PhaseStarted("test"))
        tested = self.ledger.apart()
        test, costs = await self._report(decision.schedule, measured_on, tested)
        result = Result(
            decision=decision,
            test=test,
            costs=costs,
            trials=self.trials,
            reason=self.cut or f"all {self.trials} trials are done",
            ledger=self.ledger,
            test_calls=tested.calls,
            optimizer=optimizer,
            fingerprint=self.kept.fingerprint,
        )
        compiled = emit(job, scorers, items, result)
        self.tell(Finished(compiled.record, self._client.paid))
        return compiled

    def _bench(self, scorers: Mapping[str, TaskScorer], evaluator: Evaluator, items: Mapping[str, Item]) -> Bench:
        return Bench(scorers, evaluator, Renderer(items), self._client, self.ledger, self.kept.keep_scores)

    async def _report(
        self, schedule: Schedule, measured_on: Mapping[str, Sequence[Row]], ledger: Ledger
    ) -> tuple[dict[str, Comparison], dict[str, dict[str, dict[str, float | None]]]]:
        """Test scores (outside of the budget), and tokens and dollars per 1,000 calls, before and after.

        A task without test has its costs from the rows that the schedule is measured on already.
        """
        tests = {name: task.rows["test"] for name, task in self.job.tasks.items() if task.rows["test"]}
        rows = {**measured_on, **tests}
        before, after = await together(self.bench.measure(each, rows) for each in (Schedule(), schedule))
        for name in tests:
            for outcome in (*before[name], *after[name]):
                ledger.charge(outcome.calls)
        compared = _paired(before, after)
        costs = {name: {"before": _per_thousand(before[name]), "after": _per_thousand(after[name])} for name in rows}
        return {name: compared[name] for name in tests}, costs


def _paired(before: Outcomes, after: Outcomes) -> dict[str, Comparison]:
    return {
        task: compare([each.score for each in before[task]], [each.score for each in after[task]]) for task in before
    }


def _per_thousand(outcomes: Sequence[Any]) -> dict[str, float | None]:
    count = len(outcomes) or 1
    prices = [each.usd for each in outcomes]
    usd = None if any(price is None for price in prices) else round(1000 * sum(prices) / count, 6)
    return {"tokens": round(1000 * sum(each.tokens for each in outcomes) / count), "usd": usd}
