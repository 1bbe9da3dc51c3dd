"""How tasks are scored under what a schedule picks at their nodes: with other modules, constants and models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.variants import Picks, chosen_graph, options_of, picks_that_matter
from fusionprog.prompts.schedule import MODEL, Schedule

_KEPT = 64  # variants of a task; those under way at once are fewer
_Key = tuple[tuple[str, str, str], ...]


class Variants:
    """Makes the scorers of variants; graphs are shared by the tasks.

    Args:
        scorers: Task → how it is scored, with everything that may be chosen in it.
    """

    def __init__(self, scorers: Mapping[str, TaskScorer]) -> None:
        self._scorers = scorers
        self._open = {task for task, scorer in scorers.items() if _has_choices(scorer)}
        self._made: dict[str, OrderedDict[_Key, TaskScorer]] = {task: OrderedDict() for task in scorers}
        self._matter: dict[tuple[int, _Key], Picks] = {}
        self._graphs: dict[tuple[int, _Key], tuple[ProgramGraph, ProgramGraph]] = {}
        self._nodes: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}

    def scorer(self, schedule: Schedule, task: str) -> TaskScorer:
        """Returns how a task is scored under a schedule: the variant's nodes alone run, on the models picked."""
        scorer = self._scorers[task]
        if task not in self._open:
            return scorer
        picks, made = schedule.picks(task), self._made[task]
        key = _key(picks)
        if key not in made:
            made[key] = self._variant(scorer, picks, key)
            if len(made) > _KEPT:
                made.popitem(last=False)
        made.move_to_end(key)
        return made[key]

    def _variant(self, scorer: TaskScorer, picks: Picks, key: _Key) -> TaskScorer:
        written = scorer.view.program.graph
        if (id(written), key) not in self._matter:
            self._matter[id(written), key] = picks_that_matter(written, picks)
        mine = self._matter[id(written), key]
        graph = self._graph(written, mine)
        view = scorer.view.on(graph)
        wanted = tuple(map(str, scorer.wanted))
        if (id(graph), wanted) not in self._nodes:  # sorting a graph for every task would take longer than a trial may
            self._nodes[id(graph), wanted] = graph.needed(scorer.wanted)
        made = replace(scorer, view=view, nodes=self._nodes[id(graph), wanted])
        told = {node: dict(mine.get(node, {})) for node in made.nodes}
        models = dict(scorer.models)
        for node in made.asking:
            first, *others = scorer.offered.get(node, [""])
            if (name := picks.get(node, {}).get(MODEL, first)) in others:
                told[node][MODEL], models[node] = name, scorer.offered[node][name]
        return replace(made, models=models, picks=_key(told))

    def _graph(self, graph: ProgramGraph, picks: Picks) -> ProgramGraph:
        key = (id(graph), _key(picks))
        if key not in self._graphs:
            self._graphs[key] = graph, chosen_graph(graph, picks)  # both are held: their ids stay their own
        return self._graphs[key][1]


def _has_choices(scorer: TaskScorer) -> bool:
    nodes = scorer.view.program.graph.nodes
    return bool(scorer.offered) or any(options_of(nodes[name]) for name in scorer.nodes)


def _key(picks: Picks) -> _Key:
    return tuple((node, *each) for node, mine in sorted(picks.items()) for each in sorted(mine.items()))
