"""What a compile will cost, before anything is asked: calls, tokens and dollars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fusionprog.errors import BudgetError
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.metrics import ProgramMetric
from fusionprog.lm.budget import Budget
from fusionprog.lm.model import approximate_tokens, dearness, price_of
from fusionprog.lm.price import FREE, Price
from fusionprog.program.task import Task
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.render import Renderer, TaskView
from fusionprog.search.choices import ANSWER_TOKENS, prompt_tokens
from fusionprog.search.plan import Plan, Sizes, make_plan

_FUNCTION_PROMPT = 300  # tokens that a function's prompt is taken to have beside the row's
_GROWTH = 2.0  # a compiled prompt is about twice as long as the written one

Costs: TypeAlias = Sequence[tuple[int, Price | None]]
"""Prompt tokens of calls, and what tokens cost; no prices where they are unknown."""


@dataclass(frozen=True)
class Estimate:
    """What a compile will cost at most.

    Attributes:
        calls: Model calls, without the test report.
        test_calls: Model calls of the test report.
        tokens: Tokens of all of these, roughly.
        usd: Dollars, roughly; ``None`` where a price is unknown.
    """

    calls: int
    test_calls: int
    tokens: int
    usd: float | None


def call_costs(tasks: Sequence[Task], scorers: Sequence[TaskScorer]) -> Costs:
    """Prompt tokens and prices of one call of every node that a metric reads and of the metric's own, in every task."""
    costs = []
    for task, scorer in zip(tasks, scorers, strict=True):
        columns = task.rows["val"][0].columns
        for node, prompt in Renderer({}).prompts(Schedule(), scorer.view, scorer.asking).items():
            row = scorer.view.program.node_row(node, columns)
            cost = math.ceil(prompt_tokens(prompt, row) * _GROWTH), _dearest(scorer, node)
            costs += [cost] * scorer.view.program.graph.nodes[node].calls
        for metric, models in scorer.judges.items():
            if not isinstance(metric, ProgramMetric):
                shown = approximate_tokens(" ".join(map(str, columns.values())))
                costs += [(_FUNCTION_PROMPT + shown, price_of(next(iter(models.values()))))] * metric.calls
                continue
            view = TaskView(metric.name, "", metric.as_task, ())
            for node, prompt in Renderer({}).prompts(Schedule(), view, list(models)).items():
                costs.append((prompt_tokens(prompt, columns), price_of(models[node])))
    return costs


def _capped(budget: Budget, costs: Costs) -> Budget:
    """Turns limits on tokens and dollars into one on calls, so that the plan fits them."""
    limits = [budget.calls] if budget.calls is not None else []
    if budget.tokens is not None:
        mean = sum(tokens + ANSWER_TOKENS for tokens, _ in costs) / len(costs)
        limits.append(int(budget.tokens / mean))
    if budget.usd is not None:
        mean_usd = sum(_usd(tokens, price) for tokens, price in costs) / len(costs)
        if mean_usd > 0:
            limits.append(int(budget.usd / mean_usd))
    return Budget(calls=max(1, min(limits))) if limits else Budget()


def plan_within(budget: Budget, trials: int | None, sizes: Sizes, costs: Costs) -> Plan:
    """Shares a budget out, whatever it limits; see ``make_plan``.

    Raises:
        BudgetError: if it cannot pay for a search.
    """
    capped = _capped(budget, costs)
    try:
        return make_plan(capped, trials, sizes)
    except BudgetError as error:
        if capped.calls == budget.calls:
            raise
        tokens, usd = budget.tokens, budget.usd
        limits = [f"{tokens:,} tokens"] if tokens is not None else []
        limits += [f"${usd:g} (usd)"] if usd is not None else []
        raise BudgetError(
            error.problem,
            expected=error.expected,
            found=f"{' and '.join(limits)}, which are about {capped.calls:,} calls",
            fix="Allow more, or give fewer tasks or shorter inputs",
        ) from error


def _usd(tokens: int, price: Price | None) -> float:
    return (price or FREE).most(tokens, ANSWER_TOKENS)


def estimate(plan: Plan, costs: Costs) -> Estimate:
    """Returns what a plan costs, if all calls cost as much as those of the program as written, and a bit more."""
    return Estimate(plan.calls, plan.test_calls, *total_cost(plan.calls + plan.test_calls, costs))


def total_cost(calls: int, costs: Costs) -> tuple[int, float | None]:
    """Returns the tokens and dollars of so many calls; no dollars where a price is unknown.

    Args:
        calls: How many.
        costs: What calls cost; they are taken to be made equally often. Nothing, where there are none.
    """
    count = len(costs) or 1
    tokens = sum(tokens + ANSWER_TOKENS for tokens, _ in costs) / count
    usd = None
    if all(price is not None for _, price in costs):
        usd = calls * sum(_usd(tokens, price) for tokens, price in costs) / count
    return int(calls * tokens), usd


def _dearest(scorer: TaskScorer, node: str) -> Price | None:
    """The price of the dearest model that a node may ask; ``None`` where one is unknown."""
    models = scorer.offered.get(node, {node: scorer.models[node]}).values()
    unknown = any(price_of(model) is None for model in models)
    return None if unknown else price_of(max(models, key=dearness))
