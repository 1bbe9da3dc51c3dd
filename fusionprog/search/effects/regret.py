"""What is left to find: how much better the best prompts may be than those that are known."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from fusionprog.search.effects.columns import Columns, Vector

_DRAWS = 16  # that are looked at together
_TASKS = 16  # that are looked at in a draw; of more tasks each draw has its turn of them


class Regret:
    """Follows how much a draw of all effects would gain by its own choice of items over that by the mean effects.

    Its average over draws is what perfect knowledge of the effects would add to the score: the Bayesian regret of
    stopping now. It bounds what any further search of these items can bring, as far as the model is right.

    References:
        Russo and Van Roy, "Learning to Optimize via Information-Directed Sampling", 2014 (regret under a posterior).
    """

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_DRAWS)
        self._draws = 0

    def add(self, columns: Columns, mean: Vector, draw: Vector, costs: Mapping[str, float]) -> None:
        """Looks at a draw.

        Args:
            columns: What the effects are of.
            mean: The mean effects in units of score, shape ``(n_columns,)``.
            draw: The drawn ones.
            costs: Item → the effect above which it is worth opening.
        """
        step = max(1, len(columns.embeddings) // _TASKS)
        tasks = list(columns.embeddings)[self._draws % step :: step]
        self._draws += 1
        lost = 0.0
        for node, items in columns.nodes.items():
            worth = np.array([costs.get(item, 0.0) for item in items])
            for task in tasks:
                places, values = columns.parts(task, node)
                drawn = np.einsum("ij,ij->i", draw[places], values) - worth
                known = np.einsum("ij,ij->i", mean[places], values) > worth
                lost += float(np.maximum(drawn, 0.0).sum() - drawn[known].sum())
        self._last.append(lost / len(tasks))

    @property
    def left(self) -> float:
        """The mean regret of the last draws, in units of score; infinite before there are enough of them."""
        return float(np.mean(self._last)) if len(self._last) == _DRAWS else float("inf")
