"""What the search may choose at every node beside its format, and what each option must gain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.worth import worth_of_call
from fusionprog.lm.model import LanguageModel, approximate_tokens, dearness, price_of
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.variants import options_of
from fusionprog.prompts.schedule import MODEL, NodeSettings, Schedule
from fusionprog.runtime.render import RenderedPrompt, Renderer

ANSWER_TOKENS = 60  # that a field of an answer is taken to have
_DIGITS = 5

Choices: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Node → choice → option → score that it must gain above the first one, which is the one as written."""


def priced_choices(
    graph: ProgramGraph,
    searched: Iterable[str],
    offered: Mapping[str, Mapping[str, LanguageModel]],
    scorers: Mapping[str, TaskScorer],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, dict[str, float]]]:
    """Returns what there is to choose, and what each option must gain: what its calls cost above those of the first.

    A call is taken to be as long as the prompt as written on a usual row, with ``ANSWER_TOKENS`` for every field of
    its answer; costs are means over the tasks in which the node runs.

    Args:
        graph: The program's graph.
        searched: The nodes that are searched.
        offered: Node → name → model, where several are on offer.
        scorers: Task → how it is scored, with everything on offer.
        rows: Task → the columns of a usual row.
    """
    choices: dict[str, dict[str, dict[str, float]]] = {}
    for node in searched:
        options = options_of(graph.nodes[node])
        if node in offered:
            options[MODEL] = tuple(offered[node])
        running = [(scorer, rows[task]) for task, scorer in scorers.items() if node in scorer.nodes]
        for choice, names in options.items():
            worth = {
                name: sum(_worth(*each, node, {choice: name}) for each in running) / len(running) for name in names
            }
            choices.setdefault(node, {})[choice] = {
                name: round(each - worth[names[0]], _DIGITS) for name, each in worth.items()
            }
    return choices


def dearest_schedule(offered: Mapping[str, Mapping[str, LanguageModel]]) -> Schedule:
    """Returns the program as written on the dearest of the models that are on offer; of unknown prices none counts.

    Args:
        offered: Node → name → model, where several are on offer.
    """
    return Schedule(
        nodes={
            node: NodeSettings(choices={MODEL: max(models, key=lambda name: dearness(models[name]))})
            for node, models in offered.items()
        }
    )


def prompt_tokens(prompt: RenderedPrompt, row: Mapping[str, Any]) -> int:
    """Returns about how many tokens a prompt has with the inputs of a row."""
    shown = {name: row.get(name, "") for name in prompt.signature.input_fields}
    return sum(approximate_tokens(message["content"]) for message in prompt.messages(shown))


def _worth(scorer: TaskScorer, columns: Mapping[str, Any], name: str, picks: Mapping[str, str]) -> float:
    """The score that a node's call must bring under one pick; 0 where it asks nothing."""
    program = scorer.view.program
    asked = program.graph.nodes[name].module.chosen(picks).prompted(program.signatures[name])
    if asked is None:
        return 0.0
    model = scorer.offered.get(name, {}).get(picks.get(MODEL, ""), scorer.models[name])
    prompt = Renderer({}).prompts(Schedule(), scorer.view, [name])[name]
    tokens = prompt_tokens(prompt, program.node_row(name, columns))
    price = price_of(model) if scorer.counts_dollars or not scorer.offered else None
    return worth_of_call(tokens, ANSWER_TOKENS * len(asked.output_fields), price)
