"""The search loop: a sliding window of trials is in flight, and they are told in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import optuna

from fusionprog._internal.canonical import seed_of
from fusionprog.search.samplers import SamplerFactory

WINDOW = 4


async def run_study(
    *,
    distributions: Mapping[str, optuna.distributions.BaseDistribution],
    sampler: SamplerFactory,
    seed: int,
    trials: int,
    start: Sequence[Mapping[str, Any]],
    evaluate: Callable[[int, Mapping[str, Any]], Awaitable[float]],
    told: Callable[[optuna.trial.FrozenTrial], str | None],
) -> tuple[optuna.Study, str]:
    """Runs trials and returns the study and why it ended.

    Trial n is asked when trial n - 4 has been told, and told when all of it is measured, so that the search depends
    on the seed alone, at any speed of the model. Trials that are in flight when the search ends are told too: what
    they cost is spent.

    Args:
        distributions: Parameter → distribution.
        sampler: Makes the sampler of a trial from its seed and the number of trials.
        seed: For the samplers.
        trials: How many trials to run.
        start: Parameters of the first trials, in order.
        evaluate: Returns a trial's objective; higher is better.
        told: Is handed each finished trial, in order; a text ends the search and says why.

    Raises:
        Exception: what ``evaluate`` or ``told`` raises for the first trial in order; the rest is cancelled.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    running: deque[tuple[optuna.Trial, asyncio.Task[float]]] = deque()
    asked, reason = 0, None
    try:
        while running or (asked < trials and reason is None):
            while asked < trials and reason is None and len(running) < WINDOW:
                if asked < len(start):
                    study.enqueue_trial(dict(start[asked]))
                study.sampler = sampler(seed_of(seed, asked), trials)
                trial = study.ask(dict(distributions))
                running.append((trial, asyncio.ensure_future(evaluate(trial.number, trial.params))))
                asked += 1
            trial, work = running.popleft()
            value = await work
            ended = told(study.tell(trial, value))
            reason = reason or ended
    finally:
        for _, work in running:
            work.cancel()
        await asyncio.gather(*(work for _, work in running), return_exceptions=True)
    return study, reason or f"all {trials} trials are done"
