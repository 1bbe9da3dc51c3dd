"""The search loop: a sliding window of trials is in flight, and they are told in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import optuna

from fusionprog.search.effects.sampler import EffectsSampler
from fusionprog.search.strategy import Strategy


class Asked(NamedTuple):
    """A trial that is under way.

    Attributes:
        number: Its number.
        params: Its parameters.
    """

    number: int
    params: Mapping[str, Any]


class _Unchanging(dict[str, Any]):
    """A mapping that nothing changes: a copy of a trial, of which Optuna makes several, has the same one."""

    def __deepcopy__(self, memo: Any) -> _Unchanging:
        return self


class TrialRunner(Protocol):
    """What the loop runs trials with."""

    def begin(self, number: int, params: Mapping[str, Any], *, alone: bool) -> Coroutine[Any, Any, bool] | None:
        """Returns the work of a trial, or ``None`` if there is no room for it beside those under way.

        Args:
            number: The trial.
            params: Its parameters.
            alone: Whether no other trial is under way; there is always work then.

        Returns:
            What comes to whether the trial could be done to its end.
        """
        ...

    def value(self, number: int) -> float:
        """Returns a trial's objective, higher is better; asked for when it is done and all before it are told."""
        ...

    def moved(self) -> Mapping[int, float] | None:
        """Returns the objective of every told trial, if that has changed since it was told; else ``None``."""
        ...

    def told(self, trial: optuna.trial.FrozenTrial) -> str | None:
        """Is handed each finished trial, in order; a text ends the search and says why."""
        ...

    @property
    def ended_by(self) -> str:
        """Why a trial could not be done to its end."""
        ...


def ask(study: optuna.Study, distributions: dict[str, optuna.distributions.BaseDistribution]) -> Asked:
    """Returns the next trial with all its parameters, by the study's sampler.

    Optuna copies a trial for every parameter that is added to it, which takes the square of their number. A sampler
    that draws all of them at once has its trial added whole.

    Args:
        study: The study.
        distributions: Parameter → its distribution.
    """
    sampler = study.sampler
    if not isinstance(sampler, EffectsSampler):
        trial = study.ask(distributions)
        return Asked(trial.number, trial.params)
    number = len(study.get_trials(deepcopy=False))
    params = _Unchanging(sampler.draw(number))
    running = optuna.create_trial(state=optuna.trial.TrialState.RUNNING)
    running.params, running.distributions = params, distributions  # create_trial would copy each distribution
    study.add_trial(running)
    return Asked(number, params)


async def run_study(
    *,
    strategy: Strategy,
    starts: Sequence[Mapping[str, Any]],
    trials: int,
    window: int,
    runner: TrialRunner,
) -> tuple[optuna.Study, str]:
    """Runs trials and returns the study and why it ended.

    Trial n is asked when trial n - ``window`` has been told, and told when all of it is measured, so that the search
    depends on the seed alone, at any speed of the model. Trials that are in flight when the search ends are told too:
    what they cost is spent. Where task weights move, the study is made again with the values that its trials have
    under those of now, so that a sampler never compares values of different weights.

    Args:
        strategy: Has the sampler of each trial.
        starts: Parameters of the first trials, in order.
        trials: How many trials to run.
        window: Trials in flight at most.
        runner: Does the work of trials.

    Raises:
        Exception: what the runner raises for the first trial in order; the rest is cancelled.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    distributions = _Unchanging(strategy.distributions)
    running: deque[tuple[Asked, asyncio.Task[bool]]] = deque()
    waiting: Asked | None = None  # asked, but there was no room for it
    asked, reason = 0, None
    try:
        while running or (reason is None and (waiting is not None or asked < trials)):
            while reason is None and len(running) < window and (waiting is not None or asked < trials):
                if waiting is None:
                    if asked < len(starts):
                        study.enqueue_trial(dict(starts[asked]))
                    study.sampler = strategy.sampler(asked)
                    # In a thread: the sampler may think for long, and the trials under way must go on.
                    waiting = await asyncio.to_thread(ask, study, distributions)
                    asked += 1
                work = runner.begin(waiting.number, waiting.params, alone=not running)
                if work is None:
                    break
                running.append((waiting, asyncio.ensure_future(work)))
                waiting = None
            trial, task = running.popleft()
            if await task:
                ended = runner.told(study.tell(trial.number, runner.value(trial.number)))
                reason = reason or ended
                if (values := runner.moved()) is not None:
                    study = await asyncio.to_thread(_revalued, study, values)
            else:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                reason = reason or runner.ended_by
    finally:
        for _, task in running:
            task.cancel()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)
    return study, reason or f"all {trials} trials are done"


def _revalued(study: optuna.Study, values: Mapping[int, float]) -> optuna.Study:
    """Returns the study with other values; its trials keep their numbers, and those under way stay so."""
    made = optuna.create_study(direction="maximize")
    for trial in study.get_trials(deepcopy=False):
        made.add_trial(
            optuna.create_trial(
                state=trial.state,
                value=values.get(trial.number),
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=trial.user_attrs,
                system_attrs=trial.system_attrs,
            )
        )
    return made
