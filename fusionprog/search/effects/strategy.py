"""The default strategy: draws from the posterior of items' effects (Thompson sampling)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import optuna

from fusionprog._internal.canonical import seed_of
from fusionprog._internal.numerics import one_thread
from fusionprog.evaluation.evaluator import Outcome
from fusionprog.evaluation.worth import WORTH_OF_TOKEN, tokens_shown
from fusionprog.prompts.mixture import CAPS
from fusionprog.prompts.schedule import FORMAT, Schedule
from fusionprog.runtime.render import RenderedPrompt
from fusionprog.search.bench import Outcomes
from fusionprog.search.effects.attribution import findings_of, shared_of
from fusionprog.search.effects.columns import AMOUNTS, Columns, Kind, Shown, Vector
from fusionprog.search.effects.learner import Learner
from fusionprog.search.effects.model import USUAL
from fusionprog.search.effects.prior import hypotheses_of
from fusionprog.search.effects.regret import Regret
from fusionprog.search.effects.sampler import EffectsSampler
from fusionprog.search.effects.schedules import DIGITS, best_settings, chances_of, probable_schedule, schedule_of
from fusionprog.search.findings import Findings
from fusionprog.search.strategy import Setting, items_of, offered_items, strategy_registry

_PROBABLE = (0.9, 0.8, 0.65, 0.5)  # how probable it must be that an item is worth its tokens, in what may be returned
_MAY_LOSE = 0.01  # score that may be lost, as far as the model can tell, for prompts without items that may be useless
_LOOKED_EVERY = 4  # trials between two looks at the regret of a draw
_DOUBTED = 0.5  # how probable it may be that no source holds, for what they say to count in the final choice
_REMEMBERED = 4_000  # prompts
_LOOKED_AT = 32  # tried schedules that are ranked by what the model expects of them


@strategy_registry.register("effects")
class EffectsStrategy:
    """Learns what every item does everywhere, at a node, for a kind of task and for a task, and draws from that.

    A trial is one draw of all effects; an item is open where its drawn effect exceeds the worth of its tokens. What may
    be returned opens an item only where it is probable that its effect does.

    Args:
        setting: What it is made for.
        usual: Kind of effects → how much they usually come to, see ``EffectsModel``.

    References:
        Thompson, "On the likelihood that one unknown probability exceeds another", 1933.
        Russo et al., "A Tutorial on Thompson Sampling", 2018.
    """

    screens = False
    moves_on = True

    def __init__(self, setting: Setting, usual: Mapping[Kind, float] = USUAL) -> None:
        self._bench = setting.bench
        self._objective = setting.objective
        self._prices = setting.prices
        self._seed = setting.seed
        self._items = {key: item for items in setting.space.items.values() for key, item in items.items()}
        nodes = {node: list(items) for node, items in setting.space.items.items()}
        self._options = setting.space.option_distributions
        uncertain = frozenset(node for scorer in setting.bench.scorers.values() for node in scorer.uncertain)
        self._costs = self._worth_of_tokens()
        columns = Columns(nodes, setting.embeddings, setting.space.options, uncertain)
        self._learner = Learner(columns, hypotheses_of(setting.prior, columns), usual)
        self._drawn: dict[int, tuple[Columns, Vector]] = {}
        self._regret = Regret()
        self._seen: dict[tuple[Any, ...], tuple[RenderedPrompt, Shown]] = {}

    @cached_property
    def distributions(self) -> Mapping[str, optuna.distributions.BaseDistribution]:
        """What Optuna sees of a draw: the items' shared effects, and every node's options and demonstrations."""
        effect = optuna.distributions.FloatDistribution(-1.0, 1.0)
        amount = optuna.distributions.CategoricalDistribution(list(AMOUNTS))
        made: dict[str, optuna.distributions.BaseDistribution] = {
            f"*.{item.facet}.{key}": effect for key, item in self._items.items()
        }
        return {**made, **self._options, **{f"{node}.demos": amount for node in self._learner.columns.nodes}}

    def starts(self, screened: Mapping[tuple[str, str], float]) -> Sequence[Mapping[str, Any]]:
        """Returns nothing: the first trials are draws, too; what other compiles know is in the priors."""
        return ()

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Returns a sampler that draws the trial's effects."""
        return EffectsSampler(self.distributions, self.draw)

    def draw(self, number: int) -> dict[str, Any]:
        """Draws the effects of a trial and returns what Optuna sees of them; in a thread, as it may take long."""
        with one_thread():
            self._learner.think()
            effects = self._learner.draw(seed_of(self._seed, "effects", number))
        columns = self._learner.columns
        self._drawn[number] = columns, effects
        if number % _LOOKED_EVERY == 0:
            self._regret.add(columns, self._learner.posterior.mean, effects, self._costs)
        params: dict[str, Any] = {}
        for key, item in self._items.items():
            value = float(effects[columns.index["everywhere", key]])
            params[f"*.{item.facet}.{key}"] = round(min(1.0, max(-1.0, value)), DIGITS)
        for node, mine in columns.choices.items():
            settings = best_settings(columns, effects, node)
            picked = {FORMAT: settings.format, **settings.choices}
            params |= {f"{node}.{choice}": picked[choice] for choice in mine}
            if node in columns.nodes:
                params[f"{node}.demos"] = settings.gates["demos"]
        return params

    def schedule(self, number: int, params: Mapping[str, Any]) -> Schedule:
        """Returns the schedule of a trial's draw, which is then let go."""
        return schedule_of(*self._drawn.pop(number), self._costs)

    def observe(self, schedule: Schedule, outcomes: Outcomes) -> None:
        """Adds outcomes to what is known."""
        measured = []
        for task, mine in outcomes.items():
            shown = self._shown(schedule, task)
            for ran, alike in _by_ran(mine):
                there = {node: what for node, what in shown.items() if ran is None or node in ran}
                measured.append((task, there, [(each.example, each.score) for each in alike]))
        if measured:
            with one_thread():
                self._learner.observe(measured)

    def regret(self) -> float:
        """Returns what perfect knowledge of the effects would add; infinite before there are enough draws."""
        return self._regret.left

    def hands_over(self) -> str | None:
        """Says so where the effects explain outcomes worse than a constant does."""
        fit = self._learner.fit
        if not fit.fails:
            return None
        gain, error = fit.gain
        return (
            "effects of items explain scores worse than each task's mean does "
            f"(log likelihood of an outcome {gain:+.4f} ± {error:.4f} on outcomes not seen before)"
        )

    def notes(self) -> Sequence[str]:
        """Says how well effects explain scores, and whether tasks that are alike need alike."""
        gain, error = self._learner.fit.gain
        notes = []
        if gain > 0:
            notes.append(
                "effects of items explain scores: log likelihood of an outcome "
                f"{gain:+.4f} ± {error:.4f} above each task's mean, on outcomes not seen before"
            )
        if self._learner.goes_by_kind is not None:
            found = "were" if self._learner.goes_by_kind else "were not"
            notes.append(f"tasks with like descriptions {found} found to need like items")
        if len(self._learner.shares) > 1:
            parts = [f"{share:.0%} {name or 'nothing known'}" for name, share in self._learner.shares.items() if share]
            dropped = [name for name, share in self._learner.shares.items() if name and not share]
            ended = f"; dropped: {', '.join(dropped)}" if dropped else ""
            notes.append(f"what was started from holds here as: {', '.join(parts)}{ended}")
        return notes

    def ranked(self, tried: Sequence[Schedule], values: Sequence[float]) -> list[Schedule]:
        """Returns what the model would return, the most certain that gives little away first, then the best tried.

        What opens an item only where it is all but certain to help has shorter prompts, and where little is known it
        leaves out much that would help. So the most certain candidate comes first that the model expects to lose no
        more than ``_MAY_LOSE`` against the best of them.
        """
        columns, posterior = self._learner.columns, self._learner.posterior
        certain = []
        for price in self._prices:
            costs = {key: round(price * cost, DIGITS) for key, cost in self._costs.items()}
            chances = chances_of(columns, posterior, costs)
            levels = [
                probable_schedule(columns, posterior.mean, costs, chances, probability) for probability in _PROBABLE
            ]
            forecasts = [self.forecast(each) for each in levels]
            first = next(place for place, value in enumerate(forecasts) if value >= max(forecasts) - _MAY_LOSE)
            certain += [levels[first], *levels[:first], *levels[first + 1 :]]
        looked_at = tried[:_LOOKED_AT]
        expected = [self.forecast(schedule) for schedule in looked_at]
        order = sorted(range(len(looked_at)), key=lambda place: (-round(expected[place], 9), place))
        return [*certain, *(looked_at[place] for place in order)]

    def expected(self) -> float:
        """Returns what is expected of the schedule of mean effects."""
        mean = self._learner.posterior.mean
        return self.forecast(schedule_of(self._learner.columns, mean, self._costs))

    def findings(self, study: optuna.Study) -> Findings:
        """Returns what outcomes say of all effects."""
        learner = self._learner
        near_one_half = learner.known.times(learner.levels.link.steepest)
        return replace(
            self._findings_of(learner),
            shared=shared_of(learner.columns, near_one_half, learner.own_scale),
            sources=learner.shares if len(learner.shares) > 1 else {},
        )

    def explained_with(self, others: Sequence[Any], average: Findings) -> Findings:
        """Returns what the outcomes of all searches say of all effects, if they all have such a model."""
        searches = [*others, self]
        if not all(isinstance(each, EffectsStrategy) for each in searches):
            return average
        with one_thread():
            learner = Learner.together([each._learner for each in searches])
        if learner is None:
            return average
        found = self._findings_of(learner)
        return replace(found, shared=average.shared, sources=average.sources)

    def _findings_of(self, learner: Learner) -> Findings:
        facets = {key: item.facet for key, item in self._items.items()}
        offered = offered_items(self._bench)
        return findings_of(learner.columns, learner.explain(), learner.levels, learner.sightings, offered, facets)

    def vouched_gain(self, schedule: Schedule) -> tuple[float, float] | None:
        """Returns the mean gain that sources and outcomes make the model expect; ``None`` where no source holds."""
        if self._learner.shares.get("", 1.0) > _DOUBTED:
            return None
        tasks = self._learner.columns.embeddings
        shown = {task: self._shown(schedule, task) for task in tasks}
        return self._learner.gain(shown, {task: self._shown(Schedule(), task) for task in tasks})

    def forecast(self, schedule: Schedule) -> float:
        """Returns what the model expects of a schedule."""
        tasks = self._learner.columns.embeddings
        return self._objective(self._learner.expected({task: self._shown(schedule, task) for task in tasks}))

    def _shown(self, schedule: Schedule, task: str) -> dict[str, Shown]:
        prompts, options = self._bench.prompts(schedule, task), self._bench.options(schedule, task)
        shown = {node: Shown(frozenset(), mine) for node, mine in options.items()}
        for node, prompt in prompts.items():
            if node in self._learner.columns.nodes:
                shown[node] = self._shown_by(prompt, options.get(node, {}))
        return shown

    def _shown_by(self, prompt: RenderedPrompt, options: Mapping[str, str]) -> Shown:
        """What a prompt shows; many tasks have the same one."""
        key = (id(prompt), *options.items())  # held: its id stays its own
        if key not in self._seen:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            picked = {FORMAT: prompt.frame.format.name, **options}
            self._seen[key] = prompt, Shown(items_of(prompt), picked, _amount(prompt))
        return self._seen[key][1]

    def _worth_of_tokens(self) -> dict[str, float]:
        """Item → the score that its tokens must bring, where it is longest."""
        most = dict.fromkeys(self._items, 0)
        counted: dict[int, int] = {}  # a text is the same object in many tasks, and all are held
        for scorer in self._bench.scorers.values():
            for offered in scorer.view.offered.values():
                for key in offered.keys() & most.keys():
                    content = offered[key]
                    if id(content) not in counted:
                        counted[id(content)] = tokens_shown(content)
                    most[key] = max(most[key], counted[id(content)])
        return {key: round(WORTH_OF_TOKEN * tokens, DIGITS) for key, tokens in most.items()}


def _by_ran(outcomes: Sequence[Outcome]) -> list[tuple[frozenset[str] | None, list[Outcome]]]:
    """Outcomes by the nodes that ran for them, as what a node shows is seen only where it ran."""
    groups: dict[frozenset[str] | None, list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault(each.ran, []).append(each)
    return list(groups.items())


def _amount(prompt: RenderedPrompt) -> float:
    """The share of the cap that demonstrations of the pool take; the program's own are always there."""
    return min(1.0, (len(prompt.demo_items) - prompt.demo_items.count(None)) / CAPS["demos"])
