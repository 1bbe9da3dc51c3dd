"""The default strategy: draws from the posterior of items' effects (Thompson sampling)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from scipy.stats import norm

from fusionprog._internal.canonical import seed_of
from fusionprog.lm.model import approximate_tokens
from fusionprog.prompts.items import Content
from fusionprog.prompts.mixture import CAPS
from fusionprog.prompts.schedule import FORMATS, NodeSettings, Schedule
from fusionprog.search.bench import Outcomes
from fusionprog.search.effects.columns import AMOUNTS, Columns, Shown
from fusionprog.search.effects.model import EffectsModel, Observations
from fusionprog.search.strategy import Setting, items_of, strategy_registry

_WORTH_OF_TOKEN = 1e-5  # score that a token in a prompt must bring
_DIGITS = 5
_EVEN = 3.0  # a temperature at which all open items of a facet count about alike
_PROBABLE = (0.8, 0.5, 0.9)  # how probable it must be that an item is worth its tokens, in what may be returned
_FIRST_SCALES, _GROWTH = 100, 1.5  # outcomes after which prior scales are chosen, and chosen again
_LOOKED_AT = 50  # tried schedules that are ranked by what the model expects of them

Vector = npt.NDArray[np.float64]


@strategy_registry.register("effects")
class EffectsStrategy:
    """Learns what every item does everywhere, at a node, for a kind of task and for a task, and draws from that.

    A trial is one draw of all effects; an item is open where its drawn effect exceeds the worth of its tokens. What may
    be returned opens an item only where it is probable that its effect does.

    Args:
        setting: What it is made for.

    References:
        Thompson, "On the likelihood that one unknown probability exceeds another", 1933.
        Russo et al., "A Tutorial on Thompson Sampling", 2018.
    """

    screens = False
    moves_on = True

    def __init__(self, setting: Setting) -> None:
        self._bench = setting.bench
        self._seed = setting.seed
        self._items = {key: item for items in setting.space.items.values() for key, item in items.items()}
        self._nodes = {node: list(items) for node, items in setting.space.items.items()}
        self._columns = Columns(self._nodes, setting.embeddings, FORMATS)
        self._costs = {key: self._cost(key) for key in self._items}
        prior = {("everywhere", key): self._known(setting.prior, key) for key in self._items}
        self._model = EffectsModel(self._columns.names, {name: value for name, value in prior.items() if value})
        self._draws: dict[int, Vector] = {}
        self._next_scales = float(_FIRST_SCALES)

    @property
    def distributions(self) -> Mapping[str, optuna.distributions.BaseDistribution]:
        """What Optuna sees of a draw: the items' shared effects, and every node's format and demonstrations."""
        made: dict[str, optuna.distributions.BaseDistribution] = {
            f"*.{item.facet}.{key}": optuna.distributions.FloatDistribution(-1.0, 1.0)
            for key, item in self._items.items()
        }
        for node in self._nodes:
            made[f"{node}.format"] = optuna.distributions.CategoricalDistribution(list(FORMATS))
            made[f"{node}.demos"] = optuna.distributions.CategoricalDistribution(list(AMOUNTS))
        return made

    def starts(self, screened: Mapping[tuple[str, str], float]) -> Sequence[Mapping[str, Any]]:
        """Returns nothing: the first trials are draws, too; what other compiles know is in the priors."""
        return ()

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Returns a sampler that draws the trial's effects."""
        return EffectsSampler(self)

    def draw(self, number: int) -> dict[str, Any]:
        """Draws the effects of a trial and returns what Optuna sees of them."""
        effects = self._draws[number] = self._model.posterior.draw(seed_of(self._seed, "effects", number))
        params: dict[str, Any] = {}
        for key, item in self._items.items():
            params[f"*.{item.facet}.{key}"] = round(min(1.0, max(-1.0, self._effect(effects, "everywhere", key))), 5)
        for node in self._nodes:
            settings = self._settings(effects, node)
            params[f"{node}.format"], params[f"{node}.demos"] = settings.format, settings.gates["demos"]
        return params

    def schedule(self, number: int, params: Mapping[str, Any]) -> Schedule:
        """Returns the schedule of a trial's draw."""
        return self._as_schedule(self._draws[number])

    def observe(self, schedule: Schedule, outcomes: Outcomes) -> None:
        """Adds outcomes to what is known."""
        for task, mine in outcomes.items():
            if mine:
                scores = [each.score for each in mine]
                squares = sum(score**2 for score in scores)
                row = self._columns.row(task, self._shown(schedule, task))
                self._model.add(Observations(row, len(scores), sum(scores), squares))
        if self._model.count >= self._next_scales:
            self._next_scales = self._model.count * _GROWTH
            self._model.learn_scales()

    def ranked(self, tried: Sequence[Schedule], values: Sequence[float]) -> list[Schedule]:
        """Returns what the model would return at several levels of certainty, then what it expects most of."""
        mean = self._model.posterior.mean
        certain = [self._with_probable_items(probability) for probability in _PROBABLE]
        expected = [(-round(self._expected(each, mean), 9), place) for place, each in enumerate(tried[:_LOOKED_AT])]
        return [*certain, *(tried[place] for _, place in sorted(expected))]

    def _with_probable_items(self, probability: float) -> Schedule:
        """The mean effects, less what makes an item improbable: such an item counts as worth just its tokens."""
        posterior = self._model.posterior
        schedule = self._as_schedule(posterior.mean)
        in_task = {task: {node: dict(mine) for node, mine in nodes.items()} for task, nodes in schedule.in_task.items()}
        closed: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for task, place in self._columns.embeddings.items():
            for node, keys in self._nodes.items():
                effects = {key: schedule.effect(node, task, place, key) for key in keys}
                doubtful = [key for key in keys if effects[key] > self._costs[key]]
                spreads = posterior.spread(self._directions(task, node, doubtful)) if doubtful else ()
                for key, spread in zip(doubtful, spreads, strict=True):
                    above = effects[key] - self._costs[key]
                    if norm.cdf(above / spread) < probability:
                        closed[node, key][task] = above
        at_node = {node: dict(mine) for node, mine in schedule.at_node.items()}
        for (node, key), tasks in closed.items():
            if len(tasks) == len(self._columns.embeddings):
                at_node.setdefault(node, {})
                at_node[node][key] = _rounded(at_node[node].get(key, 0.0) - max(tasks.values()))
            else:
                for task, above in tasks.items():
                    mine = in_task.setdefault(task, {}).setdefault(node, {})
                    mine[key] = _rounded(mine.get(key, 0.0) - above)
        return Schedule(
            everywhere=schedule.everywhere,
            at_node=at_node,
            directions=schedule.directions,
            in_task=in_task,
            costs=schedule.costs,
            nodes=schedule.nodes,
        )

    def _directions(self, task: str, node: str, keys: Sequence[str]) -> Vector:
        """How much of each effect is in an item's at a node in a task, shape ``(n_keys, n_columns)``."""
        index, made = self._columns.index, np.zeros((len(keys), len(self._columns.names)))
        for place, key in enumerate(keys):
            columns, values = self._columns.row(task, {node: Shown(frozenset([key]))})
            made[place, columns] = values
            made[place, [index["level",], index["task", task]]] = 0.0
        return made

    def _as_schedule(self, effects: Vector) -> Schedule:
        everywhere: dict[str, float] = {}
        at_node: dict[str, dict[str, float]] = defaultdict(dict)
        directions: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        in_task: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        for name, value in zip(self._columns.names, np.round(effects, _DIGITS).tolist(), strict=True):
            match name:
                case ("everywhere", item):
                    everywhere[item] = value
                case ("at_node", node, item):
                    at_node[node][item] = value
                case ("by_task_kind", node, item, _):
                    directions[node][item].append(value)
                case ("in_task", task, node, item):
                    in_task[task][node][item] = value
        return Schedule(
            everywhere=everywhere,
            at_node={node: dict(mine) for node, mine in at_node.items()},
            directions={node: {key: tuple(each) for key, each in mine.items()} for node, mine in directions.items()},
            in_task={task: {node: dict(mine) for node, mine in nodes.items()} for task, nodes in in_task.items()},
            costs=self._costs,
            nodes={node: self._settings(effects, node) for node in self._nodes},
        )

    def _settings(self, effects: Vector, node: str) -> NodeSettings:
        form = max(FORMATS, key=lambda each: self._effect(effects, "format", node, each))
        amount = max(AMOUNTS, key=lambda each: (self._effect(effects, "amount", node, str(each)), -each))
        return NodeSettings(_EVEN, {**dict.fromkeys(CAPS, 1.0), "demos": amount}, form)

    def _effect(self, effects: Vector, *name: str) -> float:
        place = self._columns.index.get(name)
        return 0.0 if place is None else float(effects[place])

    def _expected(self, schedule: Schedule, mean: Vector) -> float:
        total = 0.0
        for task in self._columns.embeddings:
            places, values = self._columns.row(task, self._shown(schedule, task))
            total += float(mean[places] @ values)
        return total

    def _shown(self, schedule: Schedule, task: str) -> dict[str, Shown]:
        prompts = self._bench.prompts(schedule, task)
        return {
            node: Shown(items_of(prompt), prompt.frame.format.name, min(1.0, len(prompt.demo_items) / CAPS["demos"]))
            for node, prompt in prompts.items()
            if node in self._nodes
        }

    def _cost(self, key: str) -> float:
        """The worth of an item's tokens, where it is longest."""
        offered = [
            offers[key]
            for scorer in self._bench.scorers.values()
            for offers in scorer.view.offered.values()
            if key in offers
        ]
        return _rounded(_WORTH_OF_TOKEN * max(map(_tokens, offered), default=0))

    @staticmethod
    def _known(prior: Sequence[Schedule], key: str) -> float:
        """What other compiles have found an item to do, on average over them and their nodes."""
        found = []
        for schedule in prior:
            own = [mine[key] for mine in schedule.at_node.values() if key in mine]
            if key in schedule.everywhere or own:
                found.append(schedule.everywhere.get(key, 0.0) + (sum(own) / len(own) if own else 0.0))
        return sum(found) / len(found) if found else 0.0


class EffectsSampler(optuna.samplers.BaseSampler):
    """The effects model as an Optuna sampler: all parameters of a trial are one draw.

    Args:
        strategy: Holds what is known, and draws.
    """

    def __init__(self, strategy: EffectsStrategy) -> None:
        self._strategy = strategy

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        """Returns all parameters."""
        return dict(self._strategy.distributions)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        search_space: dict[str, optuna.distributions.BaseDistribution],
    ) -> dict[str, Any]:
        """Returns one draw."""
        return self._strategy.draw(trial.number)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        """Is not asked for: every parameter is in the draw."""
        raise NotImplementedError(f"{param_name} is no effect")


def _rounded(value: float) -> float:
    return round(value, _DIGITS)


def _tokens(content: Content) -> int:
    if isinstance(content, str):
        return approximate_tokens(content)
    return sum(approximate_tokens(str(value)) for demo in content for value in demo.values())
