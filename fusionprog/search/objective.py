"""Objectives: what a compile is to reach over its tasks, and what its result must keep to."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, get_args

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import FusionProgError
from fusionprog.search.plan import FINALISTS
from fusionprog.search.weighting import TaskWeights, weighting_registry

Value: TypeAlias = Callable[[Mapping[str, float]], float]
"""How the tasks' scores become one number, as late as possible."""

Axis = Literal["quality", "tokens", "usd", "latency"]
AXES: tuple[Axis, ...] = get_args(Axis)
_ALONG_THE_FRONT = 3  # its ends, and what lies between them
_SHARES = ("share", "smoothness")  # arguments that mean nothing above 1


@dataclass(frozen=True)
class Objective:
    """What a compile is to reach, and what its result must keep to.

    ``Objective("worst", floors={"bank": 0.8})`` lifts the worst task, and returns nothing that scores below 0.8 in
    ``bank``. A name alone may stand for an objective: ``"worst"`` for ``Objective("worst")``.

    Attributes:
        tasks: How the tasks are weighed: ``"mean"`` (or ``"equal"``), ``"uncertainty"``, ``"dwa"``,
            ``"rate_balance"``, ``"tchebycheff"``, ``"cvar"``, ``"worst"`` or ``"random"``.
        arguments: Of these weights: ``{"share": 0.5}`` for ``"cvar"``.
        below_baseline: Whether a task may score below the program as written. If not, it stays as written where it
            would.
        floors: Task → score that the result must have there, on rows that nothing was searched on.
        most_tokens: Tokens of a call of the program at most, prompts and answers, on average over a task's rows.
        most_usd: Its dollars at most.
        pareto: What is traded off: ``"quality"`` and some of ``"tokens"``, ``"usd"`` and ``"latency"``. The front is
            kept in the artifact, and its knee is returned. Latency is counted in tokens of answers, which are what
            one waits for: seconds would be others on every run.

    Raises:
        FusionProgError: if a name is unknown or a number is out of range.
    """

    tasks: str = "mean"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    below_baseline: bool = False
    floors: Mapping[str, float] = field(default_factory=dict)
    most_tokens: float | None = None
    most_usd: float | None = None
    pareto: tuple[Axis, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.pareto, str):
            raise FusionProgError("pareto is a text", found=repr(self.pareto), fix='Pass pareto=("quality", "tokens")')
        object.__setattr__(self, "pareto", tuple(self.pareto))  # as a list it is read from JSON
        self.weights(seed=0)
        for name, value in (("most_tokens", self.most_tokens), ("most_usd", self.most_usd)):
            if value is not None and not (_is_number(value) and value > 0):
                raise FusionProgError(f"the objective's {name} must be a number above 0", found=repr(value))
        for task, floor in self.floors.items():
            if not _is_number(floor):
                raise FusionProgError(f"the floor of task {task!r} must be a number", found=repr(floor))
        for axis in self.pareto:
            if axis not in AXES:
                raise FusionProgError(f"there is no axis called {axis!r}", fix=did_you_mean(axis, AXES))
        if self.pareto and ("quality" not in self.pareto or len(set(self.pareto)) < max(2, len(self.pareto))):
            raise FusionProgError(
                "pareto needs quality and something to trade it for, each once",
                found=repr(self.pareto),
                fix='Pass pareto=("quality", "tokens")',
            )

    def weights(self, seed: int) -> TaskWeights:
        """Returns the scheme of its weights.

        Args:
            seed: For a scheme that draws.
        """
        factory = weighting_registry.get(self.tasks)
        known = set(inspect.signature(factory).parameters)
        for name, value in self.arguments.items():
            if name not in known - {"seed"}:
                raise FusionProgError(
                    f"the objective {self.tasks!r} has no argument {name!r}", fix=did_you_mean(name, known - {"seed"})
                )
            if not (_is_number(value) and value > 0):
                raise FusionProgError(f"the objective's {name} must be a number above 0", found=repr(value))
            if name in _SHARES and value > 1:
                raise FusionProgError(f"the objective's {name} must be at most 1", found=repr(value))
        return factory(**self.arguments, **({"seed": seed} if "seed" in known else {}))

    @property
    def is_measured(self) -> bool:
        """Whether it asks for more than a search forecasts: for scores of single tasks, or for what calls cost."""
        return bool(self.floors) or self.is_priced

    @property
    def is_priced(self) -> bool:
        """Whether it minds what a call costs, so that cheaper candidates must be looked at, too."""
        return bool(self.pareto) or self.most_tokens is not None or self.most_usd is not None

    @property
    def finalists(self) -> int:
        """How many candidates are confirmed: the best one, or some along the front of what is traded off."""
        return _ALONG_THE_FRONT if self.pareto else FINALISTS

    def as_json(self) -> str | dict[str, Any]:
        """Returns what makes it again, as JSON data: the name of its weights, where it says nothing else."""
        said = {
            each.name: _plain(value) for each in fields(self) if (value := getattr(self, each.name)) != _usual(each)
        }
        return self.tasks if not said.keys() - {"tasks"} else said


def objective_of(given: str | Objective) -> Objective:
    """Returns an objective from what a user passes.

    Raises:
        FusionProgError: if there is none of that name.
    """
    if isinstance(given, Objective):
        return given
    if not isinstance(given, str):
        raise FusionProgError(
            "objective is neither a name nor a fusionprog.Objective", found=type(given).__name__, fix='Pass "mean"'
        )
    return Objective(given)


def mean(scores: Mapping[str, float]) -> float:
    """The mean over tasks."""
    return sum(scores.values()) / len(scores)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _usual(each: Any) -> Any:
    return each.default_factory() if callable(each.default_factory) else each.default


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: value[key] for key in sorted(value)}
    return list(value) if isinstance(value, tuple) else value
