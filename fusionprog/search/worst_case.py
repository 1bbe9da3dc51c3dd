"""What calls can cost at most, before they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from fusionprog.errors import BudgetError
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.metrics import ProgramMetric
from fusionprog.lm.budget import Budget, Cost
from fusionprog.lm.model import LanguageModel, price_of
from fusionprog.lm.price import FREE
from fusionprog.modules.optional import PassThrough
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.render import RenderedPrompt, Renderer, TaskView

_FUNCTION_TOKENS = 4_096  # that a function's outputs are taken to have at most; nobody knows before it is called
_ROOM = 2  # worst cases of a row of every task that a budget must have room for
_MUCH = 0.1  # of a limit


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


def check_room(budget: Budget, scorers: Sequence[TaskScorer], rows: Sequence[Row]) -> list[str]:
    """Checks that a row of every task has room in a budget of tokens or dollars; says so where it takes much of it.

    Args:
        budget: The budget; ``check_bounds`` has passed its models.
        scorers: How every task is scored.
        rows: A row of each.

    Returns:
        A note, where what is set aside for so few rows is a large part of a limit, which may then stay unused.

    Raises:
        BudgetError: if a limit is below twice what is set aside for them: no trial could begin beside what is kept for
            the comparison with the program as written.
    """
    worst = Cost()
    for scorer, row in zip(scorers, rows, strict=True):
        worst += worst_case(scorer, Renderer({}).prompts(Schedule(), scorer.view, scorer.asking), [row])
    longest = max((model.max_output_tokens or 0 for scorer in scorers for model in scorer.models.values()), default=0)
    why = f"their worst case, as an answer may have {longest:,} tokens"
    notes = []
    for name, limit, shown in (
        ("tokens", budget.tokens, f"{worst.tokens:,.0f} tokens"),
        ("dollars", budget.usd, f"${worst.usd:.2g}"),
    ):
        needed = worst.tokens if name == "tokens" else worst.usd
        if limit is not None and needed > limit / _ROOM:
            raise BudgetError(
                f"the budget in {name} has no room for a search",
                expected=f"at least {_ROOM} times the {shown} that one row of every task is set aside at ({why})",
                found=f"{limit:g}",
                fix="Set a smaller max_tokens= on the dspy.LM, or allow more",
            )
        if limit is not None and needed > _MUCH * limit:
            notes.append(
                f"one row of every task is set aside at {shown} ({why}): as much of the budget may stay unused; "
                "a smaller max_tokens= on the dspy.LM lets more of it be used"
            )
    return notes


def worst_case(scorer: TaskScorer, prompts: Mapping[str, RenderedPrompt], rows: Sequence[Row]) -> Cost:
    """Returns what scoring prompts on rows can cost at most.

    Tokenizers make at most one token of a byte, so that a prompt has at most as many tokens as bytes; an answer that
    is read by a later node has at most ``max_output_tokens`` of them.

    Args:
        scorer: The task; ``check_bounds`` has passed its models.
        prompts: Node → prompt, for every node that asks a model.
        rows: The rows.
    """
    modules = [scorer.view.program.graph.nodes[node].module for node in scorer.nodes if node not in scorer.asking]
    made = _FUNCTION_TOKENS * sum(not isinstance(module, PassThrough) for module in modules)
    given = [row.size for row in rows]
    total, made = _dearest(_chains(scorer.runs, prompts, scorer.models), given, made)
    for metric, models in scorer.judges.items():
        if isinstance(metric, ProgramMetric):
            view = TaskView(metric.name, "", metric.as_task, ())
            own = Renderer({}).prompts(Schedule(), view, list(models))
            chains = _chains(metric.runs, own, models)
        else:
            chains = [[(metric.prompt_tokens, model)] * metric.calls for model in models.values()]
        cost, _ = _dearest(chains, given, made)
        total += cost
    return total


Chain: TypeAlias = Sequence[tuple[int, LanguageModel]]  # most tokens of prompts that follow on each other, and models


def _chains(
    runs: Sequence[Sequence[str]], prompts: Mapping[str, RenderedPrompt], models: Mapping[str, LanguageModel]
) -> list[Chain]:
    return [[(prompts[node].most_tokens, models[node]) for node in run if node in prompts] for run in runs]


def _dearest(chains: Sequence[Chain], given: Sequence[int], made: int) -> tuple[Cost, int]:
    """The most that any of the sets of calls that are made together costs and makes, limit by limit."""
    found = [_chain(chain, given, made) for chain in chains]
    costs = [cost for cost, _ in found]
    total = Cost(*(max(getattr(cost, name) for cost in costs) for name in ("calls", "tokens", "usd")))
    return total, max(made for _, made in found)


def _chain(asked: Chain, given: Sequence[int], made: int) -> tuple[Cost, int]:
    """The cost of prompts that each may show all of a row and all that was made before; and what is made then."""
    total, rows, largest = Cost(), len(given), max(given, default=0)
    for tokens, model in asked:
        longest = model.max_output_tokens or 0
        read, written = rows * (tokens + made) + sum(given), rows * longest
        usd = (price_of(model) or FREE).most(read, written, tokens + made + largest)
        total += Cost(rows, read + written, usd)
        made += longest
    return total, made
