"""What is learned from outcomes: the effects, which of them there are, and whether they explain anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fusionprog.search.effects.attribution import Sightings
from fusionprog.search.effects.columns import MOST_COLUMNS, Column, Columns, Kind, Shown, Vector
from fusionprog.search.effects.explanation import Explanation, explain
from fusionprog.search.effects.fit import Fit
from fusionprog.search.effects.history import History, Measured
from fusionprog.search.effects.link import Identity, Levels, Link, Logistic
from fusionprog.search.effects.model import USUAL, EffectsModel, Posterior
from fusionprog.search.effects.openings import find_opening
from fusionprog.search.effects.prior import Hypothesis

_FIRST, _GROWTH = 100, 1.5  # outcomes after which prior scales and columns are looked at, and looked at again
_FIRST_WEIGHED, _WEIGHED_GROWTH = 12, 1.3  # outcomes after which hypotheses are weighed, and weighed again
_OPENED_AT_ONCE = 4


class Learner:
    """Keeps a model of effects up to date with what is measured, and opens columns where outcomes ask for them.

    Args:
        columns: The columns to begin with.
        hypotheses: What may be believed of the effects before anything is seen, see ``EffectsModel``.
        usual: Kind of column → how much its effects usually come to, see ``EffectsModel``.

    Attributes:
        columns: The columns now.
        fit: How the model's forecasts compare with a constant.
        sightings: What was shown how often.
    """

    def __init__(self, columns: Columns, hypotheses: Sequence[Hypothesis], usual: Mapping[Kind, float] = USUAL) -> None:
        self.columns = columns
        self.fit = Fit()
        self.sightings = Sightings()
        self._model = EffectsModel(columns.names, hypotheses, Logistic(), usual)
        self._history = History()
        self._next, self._next_weighed = float(_FIRST), float(_FIRST_WEIGHED)

    @property
    def posterior(self) -> Posterior:
        """What is known of the effects, in units of score."""
        return self._model.posterior

    @property
    def goes_by_kind(self) -> bool | None:
        """See ``EffectsModel.goes_by_kind``."""
        return self._model.goes_by_kind

    def draw(self, seed: int) -> Vector:
        """Returns one draw of all effects, in units of score, shape ``(n_columns,)``."""
        return self._model.draw(seed)

    @property
    def shares(self) -> dict[str, float]:
        """Hypothesis → how probable it is; what is as usual has no name."""
        names = [each.name for each in self._model.hypotheses]
        return dict(zip(names, self._model.shares.tolist(), strict=True))

    @property
    def own_scale(self) -> float:
        """How far a single task may be from what tasks have in common, as a standard deviation near one half."""
        return self._model.own_scale

    @property
    def known(self) -> Posterior:
        """What was known of the effects when the posterior was last asked for, in the units of the levels' link."""
        return self._model.known

    def explain(self) -> Explanation:
        """Returns what all outcomes say of the effects, in the units of the levels' link."""
        return explain(self._model, self._history)

    @property
    def levels(self) -> Levels:
        """Where the tasks are."""
        link = self._model.link
        return Levels(link, {task: link.sum_of(mean) for task, mean in self.fit.means.items()})

    def expected(self, shown: Mapping[str, Mapping[str, Shown]]) -> dict[str, float]:
        """Returns the score that is expected in each task.

        Args:
            shown: Task → node → what its prompt shows.
        """
        rows = [self.columns.row(task, self.columns.atoms(mine)) for task, mine in shown.items()]
        return dict(zip(shown, self._model.expected(np.stack(rows)).tolist(), strict=True))

    def gain(
        self, shown: Mapping[str, Mapping[str, Shown]], written: Mapping[str, Mapping[str, Shown]]
    ) -> tuple[float, float]:
        """Returns the gain that is expected, on average over tasks, and how well that is known.

        Args:
            shown: Task → node → what its prompt shows.
            written: The same, of the program as written.
        """
        after, before = (
            np.stack([self.columns.row(task, self.columns.atoms(mine)) for task, mine in each.items()])
            for each in (shown, written)
        )
        known, link = self._model.known, self._model.link
        slopes = link.slope((after @ known.mean + before @ known.mean) / 2)
        change = (slopes[:, np.newaxis] * (after - before)).mean(axis=0)
        gain = (self._model.expected(after) - self._model.expected(before)).mean()
        return float(gain), float(np.sqrt(max(0.0, change @ known.covariance @ change)))

    def observe(self, outcomes: Sequence[tuple[str, Mapping[str, Shown], Sequence[tuple[str, float]]]]) -> None:
        """Takes in the outcomes of a trial.

        Args:
            outcomes: Task, node → what its prompt showed, and the row of the data and the score of each outcome; at
                least one of them.
        """
        measured = [Measured.of(task, self.columns.atoms(shown), mine) for task, shown, mine in outcomes]
        for each, (task, shown, _) in zip(measured, outcomes, strict=True):
            self.sightings.add(self.columns, task, shown, each.atoms, each.count)
        self._take(measured)

    def _take(self, measured: list[Measured]) -> None:
        if self._model.link.bounded and any(not 0.0 <= score <= 1.0 for each in measured for score in each.scores):
            self._begin_again(Identity())
        seen = [each.observed(self.columns) for each in measured]
        self.fit.add(measured, self._model.expected(np.stack([each.row for each in seen])), self._model)
        self._history.add(measured, seen, *self._model.add(seen))

    def think(self) -> None:
        """Now and then weighs hypotheses, chooses scales and opens columns; takes long where there are many columns."""
        if self._model.count >= self._next_weighed:
            self._next_weighed = self._model.count * _WEIGHED_GROWTH
            self._model.weigh()
        if self._model.count < self._next:
            return
        self._next = self._model.count * _GROWTH
        self._model.learn_scales()
        for _ in range(_OPENED_AT_ONCE):
            if not self._history.whole or len(self.columns.names) >= MOST_COLUMNS:
                return
            found = find_opening(self.columns, self._model, self._history)
            if found is None:
                return
            self._open(found.name, found.shows)

    @classmethod
    def together(cls, learners: Sequence[Learner]) -> Learner | None:
        """Returns what learners of the same columns would know as one; ``None`` if too much was seen.

        Args:
            learners: At least one; their outcomes are taken in their order.
        """
        first = learners[0]
        opened = dict.fromkeys(name for each in learners for name in each.columns.opened)
        made = cls(replace(first.columns, opened=tuple(opened)), first._model.hypotheses, first._model.usual)
        if not all(each._history.whole for each in learners):
            return None
        look = float(_FIRST)
        for each in learners:
            made.sightings.take(each.sightings)
            for measured in each._history.measured:
                made._take([measured])
                if made._model.count >= look:
                    made._model.look_anew()
                    look = made._model.count * _GROWTH
        made._model.weigh()
        made._model.learn_scales()
        return made if made._history.whole else None

    def _open(self, name: Column, shows: Vector) -> None:
        weights, responses = np.array(self._history.weights), np.array(self._history.responses)
        mine = shows * weights
        self._model.open(name, np.append(mine @ self._history.rows, mine.sum()), float(responses @ shows))
        self._history.open(shows)
        self.columns = self.columns.with_opened(name)

    def _begin_again(self, link: Link) -> None:
        """Takes in what was measured so far once more, by another link."""
        before = self._history.measured
        self._history = History()
        self._model = EffectsModel(self.columns.names, self._model.hypotheses, link, self._model.usual)
        for each in before:
            seen = [each.observed(self.columns)]
            self._history.add([each], seen, *self._model.add(seen))
