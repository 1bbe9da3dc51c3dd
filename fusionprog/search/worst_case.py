"""What calls can cost at most, before they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fusionprog.errors import BudgetError
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.lm.budget import Budget, Cost
from fusionprog.lm.model import LanguageModel
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.render import RenderedPrompt, Renderer, TaskView

_FUNCTION_TOKENS = 4_096  # that a function's outputs are taken to have at most; nobody knows before it is called


def check_bounds(budget: Budget, models: Iterable[LanguageModel]) -> None:
    """Checks that the worst case of a call is known where the budget needs it.

    Raises:
        BudgetError: if a model's price or the longest answer that it can give is unknown.
    """
    asked = list(models)
    unpriced = sorted({model.name for model in asked if model.usd_per_token is None})
    if budget.usd is not None and unpriced:
        raise BudgetError(
            f"a budget in dollars needs prices, and there is none for {', '.join(unpriced)}",
            fix="Use Budget(calls=...) or Budget(tokens=...) instead",
        )
    unbounded = sorted({model.name for model in asked if model.max_output_tokens is None})
    if budget.by_size and unbounded:
        raise BudgetError(
            "a budget in tokens or dollars needs to know how long an answer can be",
            found=f"no limit for {', '.join(unbounded)}",
            fix="Set max_tokens= on its dspy.LM, or use Budget(calls=...)",
        )


def worst_case(scorer: TaskScorer, prompts: Mapping[str, RenderedPrompt], rows: Sequence[Row]) -> Cost:
    """Returns what scoring prompts on rows can cost at most.

    Tokenizers make at most one token of a byte, so that a prompt has at most as many tokens as bytes; an answer that
    is read by a later node has at most ``max_output_tokens`` of them.

    Args:
        scorer: The task; ``check_bounds`` has passed its models.
        prompts: Node → prompt, for every node that asks a model.
        rows: The rows.
    """
    made = _FUNCTION_TOKENS * (len(scorer.nodes) - len(scorer.asking))
    given = sum(row.size for row in rows)
    total, made = _dearest(scorer.runs, prompts, scorer.models, given, len(rows), made)
    for metric, models in scorer.judges.items():
        view = TaskView(metric.name, "", metric.as_task, ())
        own = Renderer({}).prompts(Schedule(), view, list(models))
        cost, _ = _dearest(metric.runs, own, models, given, len(rows), made)
        total += cost
    return total


def _dearest(
    runs: Sequence[Sequence[str]],
    prompts: Mapping[str, RenderedPrompt],
    models: Mapping[str, LanguageModel],
    given: int,
    rows: int,
    made: int,
) -> tuple[Cost, int]:
    """The most that any of the sets of nodes that run together costs and makes, limit by limit."""
    found = [
        _chain([(prompts[node], models[node]) for node in run if node in prompts], given, rows, made) for run in runs
    ]
    costs = [cost for cost, _ in found]
    total = Cost(*(max(getattr(cost, name) for cost in costs) for name in ("calls", "tokens", "usd")))
    return total, max(made for _, made in found)


def _chain(asked: Sequence[tuple[RenderedPrompt, LanguageModel]], given: int, rows: int, made: int) -> tuple[Cost, int]:
    """The cost of prompts that each may show all of a row and all that was made before; and what is made then."""
    total = Cost()
    for prompt, model in asked:
        longest = model.max_output_tokens or 0
        read = rows * (prompt.most_tokens + made) + given
        price: Any = model.usd_per_token or (0.0, 0.0)
        total += Cost(rows, read + rows * longest, read * price[0] + rows * longest * price[1])
        made += longest
    return total, made
