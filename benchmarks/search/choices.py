"""Choices of fragments, the prompts that they make, and programs that run on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fusionprog.errors import LMOutputError
from fusionprog.evaluation.answers import normal, same
from fusionprog.prompts.items import Content, Facet
from fusionprog.prompts.mixture import CAPS, Mixture, Weighted, apportion
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.render import RenderedPrompt, Renderer
from search.benches import Bench
from search.calls import Answer

Row = Mapping[str, Any]
Choice = Mapping[str, frozenset[str]]  # node → fragments
Runner = Callable[[Row], bool]  # whether the program is right on a row


def right(bench: Bench, row: Row, given: Any) -> bool:
    """Returns whether a program's output is right, as fusionprog's ``exact_match`` has it."""
    return given is not None and same(normal(row[bench.output]), normal(given))


def run_prompts(bench: Bench, prompts: Mapping[str, RenderedPrompt], row: Row, ask: Answer) -> bool:
    """Runs a task's prompts, node by node, and returns whether the output is right."""
    values = dict(row)
    for name in (each for each in bench.graph.order() if each in prompts):
        prompt = prompts[name]
        for field in prompt.signature.output_fields:
            values.pop(field, None)
        messages = prompt.messages({field: values[field] for field in prompt.signature.input_fields})
        try:
            values.update(prompt.parse(ask(messages)))
        except LMOutputError:
            return False
    return right(bench, row, values.get(bench.output))


class Prompter:
    """Makes prompts of choices, in fusionprog's own wording but without its caps on texts.

    Args:
        bench: Has the fragments' texts in every task.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._items = {item.id: item for item in bench.pool}
        self._renderer = Renderer(self._items)

    def nodes(self, task: str) -> Sequence[str]:
        """Returns the nodes that ask a model."""
        return self.bench.views[task].prompting_nodes

    def offered(self, task: str, node: str) -> list[str]:
        """Returns the fragments on offer."""
        return sorted(self.bench.views[task].offered[node])

    def contents(self, task: str, node: str) -> Mapping[str, Content]:
        """Returns fragment → its text or demonstrations."""
        return self.bench.views[task].offered[node]

    def prompts(self, task: str, choice: Choice) -> dict[str, RenderedPrompt]:
        """Returns node → its prompt."""
        view = self.bench.views[task]
        return {
            node: self._renderer.from_mixture(
                Schedule(), view, node, self._mixture(view.offered[node], choice.get(node, frozenset()))
            )
            for node in view.prompting_nodes
        }

    def runner(self, task: str, choice: Choice, ask: Answer) -> Runner:
        """Returns the program that a choice makes."""
        prompts = self.prompts(task, choice)
        return lambda row: run_prompts(self.bench, prompts, row, ask)

    def _mixture(self, offered: Mapping[str, Content], chosen: frozenset[str]) -> Mixture:
        facets: dict[Facet, tuple[Weighted, ...]] = {}
        for facet in CAPS:
            mine = sorted(key for key in chosen if self._items[key].facet == facet)
            weights = [1 / len(mine) for _ in mine]
            sizes = [1 if isinstance(offered[key], str) else len(offered[key]) for key in mine]
            amounts = apportion(CAPS["demos"], weights, sizes) if facet == "demos" else sizes
            facets[facet] = tuple(
                Weighted(key, weight, 1.0, True, amount)
                for key, weight, amount in zip(mine, weights, amounts, strict=True)
            )
        return Mixture(facets, dict.fromkeys(CAPS, 1.0))
