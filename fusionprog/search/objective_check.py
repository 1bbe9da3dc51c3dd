"""Checks what an objective asks for against the tasks and their models, before anything is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import BudgetError, FusionProgError
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.lm.model import approximate_tokens, price_of
from fusionprog.lm.price import FREE
from fusionprog.modules.optional import NODE, OFF
from fusionprog.program.demand import smallest_runs
from fusionprog.program.variants import chosen_graph, options_of
from fusionprog.prompts.schedule import FORMATS, NodeSettings, Schedule
from fusionprog.runtime.render import RenderedPrompt, Renderer
from fusionprog.search.objective import Objective

_CHARACTERS_AT_MOST = 2.0  # a token has about four characters; a cap is surely too low where it needs eight


def check_objective(objective: Objective, scorers: Sequence[TaskScorer]) -> None:
    """Refuses what cannot be kept to.

    Args:
        objective: What is asked for.
        scorers: How every task is scored, with all models that are on offer.

    Raises:
        FusionProgError: if a floor is for a task that there is not.
        BudgetError: if a cap is below what the shortest prompts take, or is in dollars and a price is unknown.
    """
    names = [scorer.view.name for scorer in scorers]
    for task in objective.floors:
        if task not in names:
            raise FusionProgError(
                f"there is a floor for task {task!r}, which is not compiled", fix=did_you_mean(task, names)
            )
    for scorer in scorers:
        _check_caps(objective, scorer)


def _check_caps(objective: Objective, scorer: TaskScorer) -> None:
    offered = {node: scorer.offered.get(node, {"": scorer.models[node]}).values() for node in scorer.asking}
    unpriced = sorted({each.name for models in offered.values() for each in models if price_of(each) is None})
    if unpriced and (objective.most_usd is not None or "usd" in objective.pareto):
        raise BudgetError(
            f"the objective counts dollars, and the price of {', '.join(unpriced)} is unknown",
            fix='Count tokens instead: most_tokens=, or pareto with "tokens"',
        )
    if objective.most_tokens is None and objective.most_usd is None:
        return
    least = {node: min(_least_tokens(scorer, node, form) for form in FORMATS) for node in scorer.asking}
    cheapest = {
        node: min((price_of(each) or FREE).most(tokens, 0) for each in offered[node]) for node, tokens in least.items()
    }
    runs = _smallest_runs(scorer)
    tokens = min(sum(least.get(node, 0.0) for node in run) for run in runs)
    usd = min(sum(cheapest.get(node, 0.0) for node in run) for run in runs)
    task = scorer.view.name
    if objective.most_tokens is not None and objective.most_tokens < tokens:
        raise BudgetError(
            f"no call in task {task!r} takes as little as most_tokens={objective.most_tokens:g}",
            expected=f"more than {math.ceil(tokens):,} tokens, which the shortest prompts take without their inputs",
            fix="Allow more",
        )
    if objective.most_usd is not None and objective.most_usd < usd:
        raise BudgetError(
            f"no call in task {task!r} costs as little as most_usd={objective.most_usd:g}",
            expected=f"more than ${usd:g}, which the shortest prompts cost without their inputs",
            fix="Allow more",
        )


def _smallest_runs(scorer: TaskScorer) -> list[frozenset[str]]:
    """The nodes that an example runs at least, with all off that may be switched off."""
    graph = scorer.view.program.graph
    off = {name: {NODE: OFF} for name, node in graph.nodes.items() if OFF in options_of(node).get(NODE, ())}
    return [run - off.keys() for run in smallest_runs(chosen_graph(graph, off), scorer.wanted)]


def _least_tokens(scorer: TaskScorer, node: str, form: str) -> float:
    schedule = Schedule(nodes={node: NodeSettings(format=form)})  # type: ignore[arg-type]
    prompt: RenderedPrompt = Renderer({}).prompts(schedule, scorer.view, [node])[node]
    texts = [*(message["content"] for message in prompt.prefix), *prompt.frame.user_parts]
    return sum(approximate_tokens(text) for text in texts) / _CHARACTERS_AT_MOST
