"""Runs a node whose code calls other nodes of the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Mapping
from typing import Any

from fusionprog._internal.canonical import canonical_json
from fusionprog._internal.threads import past_mix_ups
from fusionprog.errors import LMOutputError, ProgramError
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import Completion, LanguageModel
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.module import Module
from fusionprog.runtime.ask import AskModel, NodeResult, Visit
from fusionprog.runtime.render import RenderedPrompt


async def run_code(
    client: LMClient,
    graph: ProgramGraph,
    name: str,
    inputs: Mapping[str, Any],
    prompts: Mapping[str, RenderedPrompt],
    models: Mapping[str, LanguageModel],
) -> NodeResult:
    """Returns what a node came to whose module runs code that calls nodes.

    Args:
        client: Makes the model calls.
        graph: The program's graph.
        name: The node.
        inputs: Its inputs.
        prompts: Node → prompt, for every node that it calls.
        models: Node → model, for the same nodes.

    Raises:
        FusionProgError: if a model cannot be reached, the code fails, or it calls a node too often.
    """

    def work() -> Awaitable[NodeResult]:
        return _run(graph.nodes[name].module, inputs, _AskNodes(client, graph, name, prompts, models))

    return await past_mix_ups(work)


async def _run(module: Module, inputs: Mapping[str, Any], ask: _AskNodes) -> NodeResult:
    try:
        made = await module.run(inputs, ask)
    except LMOutputError as error:
        return NodeResult(None, ask.calls_in_order, error, ask.visits_in_order)
    undeclared = {key: value for key, value in made.items() if key not in module.signature.output_fields}
    return NodeResult(made, ask.calls_in_order, None, ask.visits_in_order, undeclared)


class _AskNodes:
    """Asks the nodes that code calls, each at most as often as the graph says.

    Code may call nodes in several threads at once: what was called is told in an order that does not depend on them.
    """

    def __init__(
        self,
        client: LMClient,
        graph: ProgramGraph,
        caller: str,
        prompts: Mapping[str, RenderedPrompt],
        models: Mapping[str, LanguageModel],
    ) -> None:
        self._client = client
        self._graph = graph
        self._caller = caller
        self._prompts = prompts
        self._models = models
        self._counts: Counter[str] = Counter()
        self._calls: dict[bytes, Completion] = {}
        self._visits: list[tuple[str, Visit]] = []

    async def __call__(
        self, inputs: Mapping[str, Any], /, *, sample: int = 0, node: str | None = None
    ) -> dict[str, Any]:
        """Returns the output fields of one answer of a node; raises ``LMOutputError`` if it has none."""
        called = None if node is None else self._graph.nodes.get(node)
        if node is None or called is None or called.called_by != self._caller:
            raise ProgramError(f"the code of node {self._caller!r} may not call {node!r}")
        self._counts[node] += 1
        if self._counts[node] > called.calls:
            raise ProgramError(
                f"forward() called {node!r} more often than it may for one example",
                expected=f"at most {called.calls}",
                fix=f"Pass calls={{{node!r}: n}} with the most that it ever calls; budgets reserve as many calls",
            )
        ask = AskModel(self._client, self._models[node], self._prompts[node])
        try:
            outputs = await ask(inputs, sample=sample)
        finally:
            self._calls.update(ask.calls)
        try:
            self._visits.append((canonical_json([node, inputs, sample]), (node, {**inputs, **outputs})))
        except (TypeError, ValueError, RecursionError):
            pass  # inputs that are no plain data can be asked with, and are no demonstration
        return outputs

    @property
    def calls_in_order(self) -> dict[bytes, Completion]:
        """Call key → answer."""
        return dict(sorted(self._calls.items()))

    @property
    def visits_in_order(self) -> list[Visit]:
        """The calls that can be shown as demonstrations."""
        return [visit for _, visit in sorted(self._visits, key=lambda each: each[0])]
