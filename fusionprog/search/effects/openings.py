"""Which effects that the model leaves out do the outcomes speak for?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from fusionprog._internal.numerics import one_thread
from fusionprog.search.effects.columns import Column, Columns, Vector
from fusionprog.search.effects.history import History
from fusionprog.search.effects.model import EffectsModel

_LOOKED_AT = 16  # the most promising candidates, which are then looked at exactly
_MOST_CELLS = 4_000_000  # rows times items that are looked at; more of them take more than a trial is worth
_MOST_OWN = 50_000  # effects in single tasks that are looked at
_PAIRED = 32  # items of a node whose pairs are looked at: those that are neither always shown nor never
_DOUBT = 1.0  # log odds by which the evidence must be above what the best of so many would reach by luck


@dataclass(frozen=True)
class Opening:
    """A column that the outcomes ask for.

    Attributes:
        name: The column.
        shows: Which rows of the history show it, as 0 and 1, shape ``(n_rows,)``.
        evidence: The log of how much more probable it makes what was seen.
    """

    name: Column
    shows: Vector
    evidence: float


@dataclass(frozen=True)
class _Candidates:
    """Columns of one kind that could be opened.

    Attributes:
        names: The columns.
        residual: What the model leaves over where each is shown, shape ``(n_candidates,)``.
        seen: The weight of the rows that show each.
    """

    names: list[Column]
    residual: Vector
    seen: Vector


def find_opening(columns: Columns, model: EffectsModel, history: History) -> Opening | None:
    """Returns the column that the residuals speak for most, or ``None`` where none stands out from chance.

    Candidates are an item's own effect in a task or at a node, where the model has no room for all of them, and what
    two items of a node do together. Each is tested by its Bayes factor, which follows from the residuals alone (a score
    test): it must be above the number of candidates, so that useless ones are opened in few searches.

    Args:
        columns: What the model has.
        model: What is known.
        history: What was measured.

    Note:
        Where rows times items are more than four millions nothing is opened, nor in single tasks where these would be
        more than 50,000 effects: both would take more memory and time than trials are worth.

    References:
        Kass and Raftery, "Bayes Factors", 1995, section 3.
    """
    if not 0 < len(history.measured) * len(columns.places) <= _MOST_CELLS:
        return None
    shown, weights = history.shown(len(columns.places)), np.array(history.weights)
    with one_thread():
        left = np.array(history.responses) - weights * (history.rows @ model.known.mean)
        groups = [
            *_own(columns, history, shown, left, weights),
            _together(columns, shown, left, weights),
        ]
    names = [name for group in groups for name in group.names]
    if not names:
        return None
    residual = np.concatenate([group.residual for group in groups]) / model.noise
    seen = np.concatenate([group.seen for group in groups]) / model.noise
    scales = np.array([model.usual[name[0]] for name in names]) / model.link.steepest * model.unit  # type: ignore[index]
    best = np.argsort(-_evidence(residual, seen, scales), kind="stable")[:_LOOKED_AT].tolist()
    shows = np.stack([_shows(names[place], columns, history, shown) for place in best])
    with one_thread():
        common = (shows * weights) @ history.rows / model.noise
        information = np.maximum(seen[best] - np.einsum("ij,ij->i", common @ model.known.covariance, common), 0.0)
    exact = _evidence(residual[best], information, scales[best])
    first = int(np.argmax(np.round(exact, 9)))
    if exact[first] < np.log(len(names)) + _DOUBT:
        return None
    return Opening(names[best[first]], shows[first], float(exact[first]))


def _evidence(residual: Vector, information: Vector, scale: Vector) -> Vector:
    """Log Bayes factors of effects with a prior of a scale against none."""
    wide = information * scale**2
    return np.asarray(0.5 * residual**2 * scale**2 / (1.0 + wide) - 0.5 * np.log1p(wide))


def _own(columns: Columns, history: History, shown: Vector, left: Vector, weights: Vector) -> list[_Candidates]:
    """Items' own effects in tasks and at nodes, where there are columns for none or some of them."""
    groups = []
    if len(columns.nodes) > 1 and "at_node" not in columns.groups:
        places = [(("at_node", *place), number) for number, place in enumerate(columns.places)]
        kept = [(name, number) for name, number in places if name not in columns.index]
        numbers = [number for _, number in kept]
        groups.append(_Candidates([name for name, _ in kept], left @ shown[:, numbers], weights @ shown[:, numbers]))
    single = len(columns.embeddings) * len(columns.places)
    if len(columns.embeddings) > 1 and "in_task" not in columns.groups and single <= _MOST_OWN:
        for task in columns.embeddings:
            rows = [place for place, each in enumerate(history.measured) if each.task == task]
            names: list[Column] = [("in_task", task, *place) for place in columns.places]
            free = [number for number, name in enumerate(names) if name not in columns.index]
            here = shown[rows][:, free]
            groups.append(_Candidates([names[number] for number in free], left[rows] @ here, weights[rows] @ here))
    return groups


def _together(columns: Columns, shown: Vector, left: Vector, weights: Vector) -> _Candidates:
    """Pairs of a node's items, of those that outcomes say most about."""
    names: list[Column] = []
    residual, seen = [], []
    share = weights @ shown / weights.sum()
    for node, items in columns.nodes.items():
        first = columns.places.index((node, items[0])) if items else 0
        mine = share[first : first + len(items)]
        order = np.argsort(-np.round(mine * (1.0 - mine), 9), kind="stable")[:_PAIRED]
        chosen = sorted(order.tolist())
        here = shown[:, [first + place for place in chosen]]
        by_residual, by_weight = here.T @ (here * left[:, np.newaxis]), here.T @ (here * weights[:, np.newaxis])
        for one, other in itertools.combinations(range(len(chosen)), 2):
            name = ("pair", node, items[chosen[one]], items[chosen[other]])
            if name not in columns.index and by_weight[one, other] > 0:
                names.append(name)
                residual.append(by_residual[one, other])
                seen.append(by_weight[one, other])
    return _Candidates(names, np.array(residual), np.array(seen))


def _shows(name: Column, columns: Columns, history: History, shown: Vector) -> Vector:
    """Which rows show a column, as 0 and 1."""
    kind, *rest = name
    if kind == "pair":
        node, one, other = rest
        return np.asarray(shown[:, columns.places.index((node, one))] * shown[:, columns.places.index((node, other))])
    node, item = rest[-2:]
    here = shown[:, columns.places.index((node, item))]
    if kind == "at_node":
        return np.asarray(here)
    return np.asarray(here * [float(each.task == rest[0]) for each in history.measured])
