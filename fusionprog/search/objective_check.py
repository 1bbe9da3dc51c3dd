"""Checks what an objective asks for against the tasks and their models, before anything is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import BudgetError, FusionProgError
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.lm.model import approximate_tokens, price_of
from fusionprog.lm.price import FREE
from fusionprog.prompts.schedule import FORMATS, NodeSettings, Schedule
from fusionprog.runtime.render import RenderedPrompt, Renderer
from fusionprog.search.objective import Objective

_CHARACTERS_AT_MOST = 2.0  # a token has about four characters; a cap is surely too low where it needs eight


def check_objective(objective: Objective, scorers: Sequence[TaskScorer]) -> None:
    """Refuses what cannot be kept to.

    Args:
        objective: What is asked for.
        scorers: How every task is scored, with nothing on offer.

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
    unpriced = sorted({scorer.models[node].name for node in scorer.asking if scorer.models[node].usd_per_token is None})
    if unpriced and (objective.most_usd is not None or "usd" in objective.pareto):
        raise BudgetError(
            f"the objective counts dollars, and the price of {', '.join(unpriced)} is unknown",
            fix='Count tokens instead: most_tokens=, or pareto with "tokens"',
        )
    if objective.most_tokens is None and objective.most_usd is None:
        return
    tokens, usd = 0.0, 0.0
    for node in scorer.asking:
        least = min(_least_tokens(scorer, node, form) for form in FORMATS)
        tokens += least
        usd += (price_of(scorer.models[node]) or FREE).most(least, 0)
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


def _least_tokens(scorer: TaskScorer, node: str, form: str) -> float:
    schedule = Schedule(nodes={node: NodeSettings(format=form)})  # type: ignore[arg-type]
    prompt: RenderedPrompt = Renderer({}).prompts(schedule, scorer.view, [node])[node]
    texts = [*(message["content"] for message in prompt.prefix), *prompt.frame.user_parts]
    return sum(approximate_tokens(text) for text in texts) / _CHARACTERS_AT_MOST
