"""``Fusion``: one search over all tasks and nodes for how each should mix the shared pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fusionprog._internal.together import together
from fusionprog.evaluation.evaluator import Evaluator, TaskScorer
from fusionprog.lm.budget import Ledger
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
from fusionprog.search.bench import Bench, block
from fusionprog.search.books import Books
from fusionprog.search.bootstrap import bootstrap_traces
from fusionprog.search.confirmation import Decision, decide
from fusionprog.search.confirmations import Confirmations, Vouched, paired
from fusionprog.search.decisions import Decisions
from fusionprog.search.emit import Result, emit
from fusionprog.search.events import Callback, Finished, Note, PhaseStarted
from fusionprog.search.fold_search import SUCCESSOR, search_fold
from fusionprog.search.kept_study import KeptStudy
from fusionprog.search.learning import Learning
from fusionprog.search.narrowing import narrow
from fusionprog.search.objective import Objective, objective_of
from fusionprog.search.placing import PHASES, placed
from fusionprog.search.preflight import Job
from fusionprog.search.scoring import Scoring
from fusionprog.search.settling import Settled, settle
from fusionprog.search.sources import Source, sources_of
from fusionprog.search.space import Space, make_space
from fusionprog.search.split import Fold
from fusionprog.search.start import Incumbent
from fusionprog.search.strategies import strategy_registry
from fusionprog.search.strategy import PRICES, Setting
from fusionprog.search.trials import used_up
from fusionprog.search.views import make_scorers


@register_optimizer("fusion")
class Fusion:
    """Searches, with Optuna, how every node should mix the pool for every task at once.

    A strategy proposes trials, learns from all tasks at once and names candidates; the best of them are measured on
    more rows, and the finalists and the program as written are compared on rows that nothing was searched on.

    Args:
        sampler: ``"effects"``, ``"tpe"``, ``"nsga2"`` or ``"random"``.
        objective: What is to be reached over the tasks: ``"mean"``, ``"worst"`` or another scheme of task weights, or
            a ``fusionprog.Objective``.
        screening: How items are tried alone before the search, for samplers that begin with what that finds (all but
            ``"effects"``): ``"sequential_halving"``, ``"successive_rejects"`` or ``"none"``.
        racing: Which trials are stopped before all of their rows are measured, where trials have the same rows (all
            samplers but ``"effects"``, and what it hands over to): ``"paired_test"`` or ``"none"``.
        narrowing: How finalists are chosen where the sampler cannot forecast what candidates score, or constraints or
            a trade-off must be measured: ``"more_rows"``, or ``"none"`` for the search's own order.
        stopping: Whether the search ends before all trials are done: ``"regret"``, if the sampler says that next to
            nothing is left to find (``"effects"``); ``"patience"``, if 32 trials in a row bring nothing better, where
            they have the same rows; or ``"none"``.

    Raises:
        FusionProgError: if a name is unknown, or the objective must be measured and nothing narrows.

    Example:
        >>> from fusionprog.optimizers.fusion import Fusion
        >>> Fusion("tpe", screening="none").arguments()
        {'sampler': 'tpe', 'objective': 'mean', 'screening': 'none'}
    """

    def __init__(
        self,
        sampler: str = "effects",
        objective: str | Objective = "mean",
        *,
        screening: str = Decisions.screening,
        racing: str = Decisions.racing,
        narrowing: str = Decisions.narrowing,
        stopping: str = Decisions.stopping,
    ) -> None:
        self.strategy = strategy_registry.get(sampler)
        self.objective = objective_of(objective)
        self.decisions = Decisions(screening, racing, narrowing, stopping)
        self.decisions.check(self.objective)
        self.parts = self.decisions.parts
        self._arguments = {"sampler": sampler, "objective": self.objective.as_json(), **self.decisions.as_json()}

    def arguments(self) -> dict[str, Any]:
        """Returns sampler and objective, and the decisions that are not the usual ones."""
        return dict(self._arguments)

    async def compile(
        self,
        job: Job,
        client: LMClient,
        callbacks: Sequence[Callback],
        prior: Sequence[CompiledProgram],
        kept: KeptStudy,
    ) -> CompiledProgram:
        """Returns the best program that was found; the one as written if nothing beat it.

        Args:
            job: What passed preflight.
            client: Makes and keeps the model calls.
            callbacks: Are told what happens.
            prior: Programs whose knowledge the search starts from.
            kept: Keeps the trials.
        """
        run = _Run(self, job, client, callbacks, prior, kept)
        return await run.compile({"name": "fusion", **self._arguments})


class _Run:
    """One compile: its parts in order, and what they hand to each other."""

    def __init__(
        self,
        compiler: Fusion,
        job: Job,
        client: LMClient,
        callbacks: Sequence[Callback],
        prior: Sequence[CompiledProgram],
        kept: KeptStudy,
    ) -> None:
        self.compiler = compiler
        self.job = job
        self.prior = prior
        self.kept = kept
        self.books = Books(job, callbacks)
        self.bench: Bench
        self.sources: tuple[Source, ...] = ()
        start = job.start
        self._incumbent = Incumbent(start.incumbent, job.metrics) if start and start.incumbent else None
        self._client = client

    async def compile(self, optimizer: Mapping[str, Any]) -> CompiledProgram:
        """Runs all parts and returns the program."""
        job = self.job
        for note in job.notes:
            self.books.tell(Note(note))
        evaluator = Evaluator(Executor(self._client, NodeMemo()))
        traces: dict[str, dict[str, list[Any]]] = {}
        # What is pinned is in the program as written, and there only with all that is on offer.
        early = bool(job.plan.bootstrap) and not any(item.pinned for item in job.pool)
        async with AsyncExitStack() as stack:
            if job.plan.bootstrap:
                self.books.tell(PhaseStarted("bootstrap"))
                bare = self._bench({name: job.bare_scorer(name) for name in job.tasks}, evaluator, {})
                if early:
                    await stack.enter_async_context(self._measured_ahead(bare))
                traces = await bootstrap_traces(job, bare, evaluator)
            scorers = make_scorers(job, traces)
            items = {item.id: item for item in job.pool}
            if job.embedder.needs is not None:
                self.books.tell(PhaseStarted(PHASES[type(job.embedder.needs)]))
                job = self.job = await placed(job, self._bench(scorers, evaluator, items), self._client)
                scorers = make_scorers(job, traces)
            self.bench = self._bench(scorers, evaluator, items)
            self.sources = sources_of(self.prior, job.places.vectors)
            space = make_space(job, {name: scorer.view for name, scorer in scorers.items()}, items)
            if not early:
                await stack.enter_async_context(self._measured_ahead(self.bench))
            return await self._search_and_report(optimizer, scorers, items, space)

    @asynccontextmanager
    async def _measured_ahead(self, bench: Bench) -> AsyncIterator[None]:
        """Measures, during what is inside, what is sure to be asked for later, in slots that nothing else waits for.

        That is the program as written on the rows of confirmation and test: it fills the slots where one part of the
        compile ends and the next begins. Where size or time is limited, nothing is done ahead of its turn. What fails
        here is asked again in its turn, and fails there.
        """
        parts: list[Mapping[str, Sequence[Row]]] = []
        if not self.job.budget.by_size and self.job.budget.seconds is None:
            parts += [block(fold.confirmation, 0, self.job.plan.confirmation) for fold in self.job.folds]
            parts.append({name: task.rows["test"] for name, task in self.job.tasks.items() if task.rows["test"]})
        with behind_others():
            ahead = [asyncio.ensure_future(bench.measure(Schedule(), rows)) for rows in parts]
        try:
            yield
        finally:
            for each in ahead:
                each.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    async def _search_and_report(
        self,
        optimizer: Mapping[str, Any],
        scorers: Mapping[str, TaskScorer],
        items: Mapping[str, Item],
        space: Space,
    ) -> CompiledProgram:
        job, objective = self.job, self.compiler.objective
        learning = Learning(len(job.folds))
        before = None if self._incumbent is None else self._incumbent.schedule
        confirmed = Confirmations(self.bench, before, priced=bool(job.offered))
        for number, fold in enumerate(job.folds):
            chosen, weights, vouched = await self._search(number, fold, space, learning)
            self.books.tell(PhaseStarted("confirmation", len(chosen)))
            await confirmed.add(chosen, block(fold.confirmation, 0, job.plan.confirmation), weights, vouched)
            if self.bench.ended_by is not None:
                self.books.cut = self.books.cut or used_up(self.bench.ended_by)
        self.kept.let_go()
        decision = decide(confirmed.finalists, confirmed.unchanged, objective, written=confirmed.written)
        settled = self._settle(decision, confirmed)
        why = settled.why if settled is not None and settled.kept and not decision.improved else decision.why
        self.books.tell(Note(why))
        self.books.tell(PhaseStarted("test"))
        tested = self.books.ledger.apart()
        test, costs = await self._report(decision.schedule, settled, confirmed.rows_of(decision), tested)
        result = Result(
            decision=decision,
            settled=settled,
            test=test,
            costs=costs,
            trials=self.books.trials,
            reason=self.books.cut or f"all {self.books.trials} trials are done",
            ledger=self.books.ledger,
            test_calls=tested.calls,
            optimizer=optimizer,
            fingerprint=self.kept.fingerprint,
            learning=learning,
            notes=(*self.books.notes, why),
        )
        compiled = emit(job, scorers, items, result)
        self.books.tell(Finished(compiled.record, self._client.paid))
        return compiled

    async def _search(
        self, number: int, fold: Fold, space: Space, learning: Learning
    ) -> tuple[list[Schedule], Mapping[str, float], Vouched]:
        """Searches one fold: its finalists, the weights of tasks at the end, and what sources vouch for."""
        job, objective, decisions = self.job, self.compiler.objective, self.compiler.decisions
        scoring = Scoring(objective, job.seed)
        setting = Setting(
            space=space,
            bench=self.bench,
            embeddings=job.places.tasks,
            objective=scoring,
            seed=job.seed,
            trials=job.plan.same.trials,
            prior=self.sources,
            prices=PRICES if objective.is_priced else (1.0,),
        )
        strategy = self.compiler.strategy(setting)
        candidates = await search_fold(
            fold,
            number,
            folds=len(job.folds),
            plan=job.plan,
            space=space,
            bench=self.bench,
            strategy=strategy,
            decisions=decisions,
            successor=partial(strategy_registry.get(SUCCESSOR), setting),
            scoring=scoring,
            books=self.books,
            kept=self.kept,
            learning=learning,
        )
        narrowing = job.plan.shape(strategy.moves_on).narrowing
        if narrowing:
            self.books.tell(PhaseStarted("narrowing"))
        chosen = await narrow(
            self.bench,
            scoring,
            strategy,
            candidates,
            block(fold.search, 0, narrowing),
            narrowing=decisions.make_narrowing(),
            contenders=job.plan.contenders,
            finalists=job.plan.finalists,
            keep=self.books.keep_for_later(self.bench, number, job.plan.rows_to_confirm),
        )
        return chosen, scoring.weights, strategy.vouched_gain

    def _settle(self, decision: Decision, confirmed: Confirmations) -> Settled | None:
        """Which tasks go on with what they followed before; ``None`` where they followed nothing."""
        start, standing = self.job.start, confirmed.standing_of(decision)
        if start is None or start.incumbent is None or standing is None:
            return None
        settled = settle(
            decision,
            standing,
            known=start.program.tasks,
            tolerance=start.tolerance,
            before=start.program.record.growth,
        )
        if settled.kept:
            self.books.note(f"nothing better was found than what was known before: {', '.join(settled.kept)}")
        return settled

    def _bench(self, scorers: Mapping[str, TaskScorer], evaluator: Evaluator, items: Mapping[str, Item]) -> Bench:
        return Bench(
            scorers,
            evaluator,
            Renderer(items),
            self._client,
            self.books.ledger,
            self.kept.keep_scores,
            self._incumbent,
            () if self.job.start is None else self.job.start.held,
        )

    async def _report(
        self, schedule: Schedule, settled: Settled | None, measured_on: Mapping[str, Sequence[Row]], ledger: Ledger
    ) -> tuple[dict[str, Comparison], dict[str, dict[str, dict[str, float | None]]]]:
        """Test scores (outside of the budget), and tokens and dollars per 1,000 calls, before and after.

        A task without test has its costs from the rows that the schedule is measured on already.
        """
        tests = {name: task.rows["test"] for name, task in self.job.tasks.items() if task.rows["test"]}
        rows = {**measured_on, **tests}
        kept = () if settled is None else settled.kept
        goes_on = schedule if self._incumbent is None else self._incumbent.schedule
        before, new, old = await together(
            [
                self.bench.measure(Schedule(), rows),
                self.bench.measure(schedule, {name: mine for name, mine in rows.items() if name not in kept}),
                self.bench.measure(goes_on, {name: rows[name] for name in kept}),
            ]
        )
        after = {**new, **old}
        for name in tests:
            for outcome in (*before[name], *after[name]):
                ledger.charge(outcome.calls)
        compared = paired(before, after)
        costs = {name: {"before": _per_thousand(before[name]), "after": _per_thousand(after[name])} for name in rows}
        return {name: compared[name] for name in tests}, costs


def _per_thousand(outcomes: Sequence[Any]) -> dict[str, float | None]:
    count = len(outcomes) or 1
    prices = [each.usd for each in outcomes]
    usd = None if any(price is None for price in prices) else round(1000 * sum(prices) / count, 6)
    return {"tokens": round(1000 * sum(each.tokens for each in outcomes) / count), "usd": usd}
