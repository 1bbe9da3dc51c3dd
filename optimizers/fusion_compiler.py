"""``FusionCompiler``: one search over all tasks and nodes for how each should mix the shared pool."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import optuna

from fusionprog.evaluation.evaluator import Evaluator
from fusionprog.evaluation.statistics import compare
from fusionprog.lm.budget import Ledger
from fusionprog.lm.client import LMClient
from fusionprog.optimizers.registry import register_optimizer
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.executor import Executor, NodeMemo
from fusionprog.runtime.record import Comparison
from fusionprog.runtime.render import Renderer
from fusionprog.search.bench import Bench, Outcomes, block, mean_tokens, task_means, together
from fusionprog.search.bootstrap import bootstrap_traces
from fusionprog.search.confirmation import Finalist, decide
from fusionprog.search.emit import Result, emit
from fusionprog.search.events import Callback, Event, Finished, Note, PhaseStarted, StepDone
from fusionprog.search.kept_study import KeptStudy
from fusionprog.search.narrowing import narrow
from fusionprog.search.objective import objective_registry
from fusionprog.search.preflight import Job
from fusionprog.search.samplers import sampler_registry
from fusionprog.search.screening import screen
from fusionprog.search.space import Space, make_space
from fusionprog.search.split import Fold
from fusionprog.search.study import WINDOW, run_study
from fusionprog.search.views import make_scorers


@register_optimizer("fusion")
class FusionCompiler:
    """Searches, with Optuna, how every node should mix the pool for every task at once.

    Items are tried alone first (screening); the search then moves the effects, temperatures and gates that all tasks
    share; its best candidates are measured on more rows, and the finalists and the program as written are compared
    on rows that nothing was searched on.

    Args:
        sampler: ``"tpe"`` or ``"random"``.
        objective: ``"mean"`` or ``"worst"``: how the tasks' scores become one number.

    Raises:
        FusionProgError: if the sampler or the objective is unknown.
    """

    def __init__(self, sampler: str = "tpe", objective: str = "mean") -> None:
        self.sampler = sampler_registry.get(sampler)
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
        run.tell(PhaseStarted("screening"))
        screened = await screen(
            bench,
            space,
            fold.search,
            plan.screening_calls,
            lambda step: run.tell(StepDone("screening", step, {}, {}, bench.spent)),
        )
        run.tell(PhaseStarted("search", plan.trials))
        rows = block(fold.search, 0, plan.block)
        baseline = await bench.measure(Schedule(), rows)
        bench.charge(Schedule(), baseline)
        before = task_means(baseline)
        measured: dict[int, tuple[Schedule, Outcomes]] = {}
        best: dict[str, Any] = {"value": self.objective(before), "scores": before}

        async def evaluate(trial: int, params: Mapping[str, Any]) -> float:
            schedule = space.schedule(params)
            outcomes = await bench.measure(schedule, rows)
            measured[trial] = (schedule, outcomes)
            return self.objective(task_means(outcomes))

        def told(trial: optuna.trial.FrozenTrial) -> str | None:
            schedule, outcomes = measured[trial.number]
            value = trial.value or 0.0
            bench.charge(schedule, outcomes)
            run.kept.keep(number, trial)
            run.trials += 1
            if value > best["value"]:
                best.update(value=value, scores=task_means(outcomes))
            run.tell(StepDone("search", trial.number + 1, before, best["scores"], bench.spent))
            return run.limit_reached(number, plan.trials - trial.number - 1)

        starts = [space.start(space.effects_of(schedule), wide=True) for schedule in run.prior]
        starts += [space.start(screened.effects, wide=True), space.start(screened.effects, wide=False)]
        exhausted = run.limit_reached(number, plan.trials)
        study, reason = await run_study(
            distributions=space.distributions,
            sampler=self.sampler,
            seed=run.job.seed,
            trials=0 if exhausted else plan.trials,
            start=starts,
            evaluate=evaluate,
            told=told,
        )
        run.cut = run.cut or exhausted or (reason if len(study.trials) < plan.trials else None)
        told_values = {trial.number: trial.value for trial in study.trials if trial.value is not None}
        order = sorted(told_values, key=lambda n: (-round(told_values[n], 9), mean_tokens(measured[n][1]), n))
        return [measured[number][0] for number in order if told_values[number] >= self.objective(before)]


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
        self.ledger = Ledger()
        self.bench: Bench
        self._callbacks = callbacks
        self._client = client
        self._started = time.monotonic()

    def tell(self, event: Event) -> None:
        """Hands an event to every callback; spending is booked under the phase that runs."""
        if isinstance(event, PhaseStarted):
            self.ledger.phase = event.phase
        for callback in self._callbacks:
            callback(event)

    def limit_reached(self, fold: int, trials_left: int) -> str | None:
        """Returns why a fold's search must end now so that confirmation can still be paid for; else ``None``.

        Calls are not looked at: the plan cannot pass them. Tokens and dollars are planned from estimates.
        """
        plan, budget = self.job.plan, self.job.budget
        if budget.seconds is not None and time.monotonic() - self._started > budget.seconds:
            return "the budget's seconds are used up"
        rows = min(WINDOW, trials_left) * plan.block + plan.contenders * (plan.narrowing - plan.block)
        rows += (plan.finalists + 1) * plan.confirmation
        share = (fold + 1) / len(self.job.folds)
        limit = self.ledger.exhausted(replace(budget, calls=None), rows * self.bench.calls_per_row, share)
        return f"the budget's {limit} are used up" if limit else None

    async def compile(self, optimizer: Mapping[str, Any]) -> CompiledProgram:
        """Runs all parts and returns the program."""
        job = self.job
        for note in job.notes:
            self.tell(Note(note))
        evaluator = Evaluator(Executor(self._client, NodeMemo()))
        traces: dict[str, dict[str, list[Any]]] = {}
        if job.plan.bootstrap:
            self.tell(PhaseStarted("bootstrap"))
            traces = await bootstrap_traces(job, evaluator, self.ledger)
        scorers = make_scorers(job, traces)
        items = {item.id: item for item in job.pool}
        self.bench = Bench(
            scorers, evaluator, Renderer(items), self._client, job.budget, self.ledger, self.kept.keep_scores
        )
        space = make_space(job, {name: scorer.view for name, scorer in scorers.items()}, items)
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
            )
            self.tell(PhaseStarted("confirmation", len(chosen)))
            rows = block(fold.confirmation, 0, job.plan.confirmation)
            confirmed, unchanged = await self._confirm(chosen, rows)
            finalists += confirmed
            confirmed_on += [rows] * len(confirmed)
        decision = decide(finalists, unchanged)
        known = [each.schedule for each in finalists]
        unclipped = replace(decision.schedule, as_written=())
        measured_on = confirmed_on[known.index(unclipped)] if decision.improved else rows
        self.tell(Note(decision.why))
        self.tell(PhaseStarted("test"))
        tested = deepcopy(self.ledger)
        test, costs = await self._report(decision.schedule, measured_on, tested)
        result = Result(
            decision=decision,
            test=test,
            costs=costs,
            trials=self.trials,
            reason=self.cut or f"all {self.trials} trials are done",
            ledger=self.ledger,
            test_calls=tested.calls - self.ledger.calls,
            optimizer=optimizer,
            fingerprint=self.kept.fingerprint,
        )
        compiled = emit(job, scorers, items, result)
        self.tell(Finished(compiled.record))
        return compiled

    async def _confirm(
        self, schedules: Sequence[Schedule], rows: Mapping[str, Sequence[Row]]
    ) -> tuple[list[Finalist], dict[str, Comparison]]:
        baseline = await self.bench.measure(Schedule(), rows)
        self.bench.charge(Schedule(), baseline)
        unchanged = _paired(baseline, baseline)
        finalists = []
        results = await together(self.bench.measure(schedule, rows) for schedule in schedules)
        for schedule, outcomes in zip(schedules, results, strict=True):
            self.bench.charge(schedule, outcomes)
            finalists.append(Finalist(schedule, _paired(baseline, outcomes), unchanged, mean_tokens(outcomes)))
        return finalists, unchanged

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
