"""gepa as a side, with a proposer that draws from the fragments."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from gepa.api import optimize
from gepa.core.adapter import EvaluationBatch
from gepa.core.result import GEPAResult

from search.choices import Choice, Prompter, Row
from search.sides import Found, Terms, side

_MINIBATCH = 3  # gepa's own default
_LEAST_VAL, _MOST_VAL, _SHARE_OF_VAL = 10, 100, 8
_ADDS = 2 / 3  # how often a proposal adds a fragment rather than takes one away


class FragmentAdapter:
    """What gepa needs: candidates are fragments' names, node by node; a proposal adds one or takes one away.

    Args:
        prompter: Makes the prompts.
        terms: What the side gets.
        task: The task.
    """

    def __init__(self, prompter: Prompter, terms: Terms, task: str) -> None:
        self._prompter = prompter
        self._terms = terms
        self._task = task
        self._draw = random.Random(f"{terms.seed} {task} proposals")

    def evaluate(
        self, batch: list[Row], candidate: dict[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[Any, Any]:
        """Scores a candidate on rows."""
        runner = self._prompter.runner(self._task, choice_of(candidate), self._terms.meter)
        scores = [float(runner(row)) for row in batch]
        traces = [{"score": value} for value in scores] if capture_traces else None
        return EvaluationBatch(outputs=list(scores), scores=scores, trajectories=traces)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Hands the scores on: the proposer draws, and does not reflect."""
        return {node: list(eval_batch.trajectories) for node in components_to_update}

    def propose_new_texts(
        self, candidate: dict[str, str], reflective_dataset: Any, components_to_update: list[str]
    ) -> dict[str, str]:
        """Adds a fragment or takes one away."""
        proposed = {}
        for node in components_to_update:
            inside = candidate[node].split()
            outside = [key for key in self._prompter.offered(self._task, node) if key not in inside]
            if outside and (not inside or self._draw.random() < _ADDS):
                inside.append(self._draw.choice(outside))
            else:
                inside.remove(self._draw.choice(inside))
            proposed[node] = " ".join(inside)
        return proposed


def choice_of(candidate: Mapping[str, str]) -> Choice:
    """Returns a candidate of gepa's as a choice."""
    return {node: frozenset(names.split()) for node, names in candidate.items()}


class _Spent:
    """Stops gepa before a step that might not be paid for."""

    def __init__(self, terms: Terms, step: int) -> None:
        self._terms = terms
        self._step = step

    def __call__(self, gepa_state: Any) -> bool:
        """Returns whether too few calls are left."""
        return self._terms.meter.left < self._step


class _Silent:
    def log(self, message: str) -> None:
        """Says nothing."""


@side("gepa")
def gepa_side(terms: Terms) -> Found:
    """The optimizer of gepa for each task, until a further step might not be paid for."""
    prompter = Prompter(terms.bench)
    runners = {}
    for number, task in enumerate(each.name for each in terms.bench.tasks):
        terms.meter.grant(terms.calls)
        nodes = prompter.nodes(task)
        rows = list(terms.bench.rows[task].val)
        random.Random(f"{terms.seed} {task}").shuffle(rows)
        size = max(_LEAST_VAL, min(_MOST_VAL, terms.calls // len(nodes) // _SHARE_OF_VAL))
        step = (2 * _MINIBATCH + size) * len(nodes)

        result: GEPAResult[Any, Any] = optimize(
            seed_candidate=dict.fromkeys(nodes, ""),
            trainset=rows[size:] or rows,
            valset=rows[:size],
            adapter=FragmentAdapter(prompter, terms, task),  # type: ignore[arg-type]
            stop_callbacks=_Spent(terms, step),
            max_metric_calls=20 * terms.calls,
            logger=_Silent(),
            seed=terms.seed * 1000 + number,
        )
        best = result.candidates[result.best_idx]
        runners[task] = prompter.runner(task, choice_of(best), terms.meter)
    return Found(runners)
