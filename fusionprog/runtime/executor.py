"""Runs a task's graph for one row of inputs."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVarTuple

import networkx as nx

from fusionprog._internal.canonical import digest
from fusionprog._internal.single_flight import Memo
from fusionprog.errors import LMOutputError
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import Completion, LanguageModel, Request
from fusionprog.program.calling import called_nodes
from fusionprog.program.demand import due
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramGraph, Reference
from fusionprog.program.module import Module
from fusionprog.program.signature import Prediction
from fusionprog.program.sources import Leaf, When, followed
from fusionprog.program.task import TaskProgram
from fusionprog.runtime.ask import AskModel, NodeResult
from fusionprog.runtime.code import run_code
from fusionprog.runtime.render import RenderedPrompt

Ts = TypeVarTuple("Ts")
_field = functools.lru_cache(maxsize=10_000)(FieldRef)  # the same few in every run


@dataclass
class Trace:
    """What one run computed.

    Attributes:
        inputs: The program's inputs.
        fields: Node field → value, for every node that ran.
        calls: Call key → answer, for every model call that it used.
        error: Why it stopped early, if a model's answer could not be read; else ``None``.
        visits: Node that code called → inputs and outputs of each of its calls.
        undeclared: Name → what code made beside the outputs that it declares.
        ran: The nodes that ran and those that their code may have called, where something in the graph is guarded;
            else ``None``.
    """

    inputs: dict[str, Any]
    fields: dict[FieldRef, Any] = field(default_factory=dict)
    calls: dict[bytes, Completion] = field(default_factory=dict)
    error: LMOutputError | None = None
    visits: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    undeclared: dict[str, Any] = field(default_factory=dict)
    ran: set[str] | None = None

    def value(self, ref: Reference) -> Any:
        """Returns the value of an input of the program, of a node's field, or of the side that a guard chose."""
        if isinstance(ref, FieldRef):
            return self.fields[ref]
        if isinstance(ref, InputRef):
            return self.inputs[ref.name]
        chosen, _ = followed(ref, self._truth)
        return chosen.value if isinstance(chosen, Constant) else self.value(chosen)

    def add(self, node: str, result: NodeResult) -> None:
        """Takes in what a node came to."""
        self.calls.update(result.calls)
        self.error = self.error or result.error
        for name, value in (result.outputs or {}).items():
            self.fields[_field(node, name)] = value
        for called, visit in result.visits:
            self.visits.setdefault(called, []).append(visit)
        if result.undeclared:
            self.undeclared.update(result.undeclared)

    def prediction(self, outputs: Mapping[str, Reference]) -> Prediction:
        """Returns outputs as attributes, and every field that was computed as ``pred["node.field"]``."""
        shown = {name: self.value(ref) for name, ref in outputs.items() if self._has(ref)}
        return Prediction(**{**{str(ref): value for ref, value in self.fields.items()}, **self.undeclared, **shown})

    def _has(self, ref: Reference) -> bool:
        if isinstance(ref, When):
            chosen, known = followed(ref, self._truth)
            return known and (isinstance(chosen, Constant) or self._has(chosen))
        return isinstance(ref, InputRef) or ref in self.fields

    def _truth(self, condition: Leaf) -> bool | None:
        if isinstance(condition, Constant):
            return bool(condition.value)
        return bool(self.value(condition)) if self._has(condition) else None


_REMEMBERED = 50_000  # results of nodes; older ones come from the store again


class NodeMemo:
    """Node results by prompt and inputs: an unchanged node is not run again."""

    def __init__(self) -> None:
        self._results: Memo[NodeResult] = Memo(_REMEMBERED)
        self._owners: dict[int, Any] = {}

    def find(self, key: Hashable) -> NodeResult | None:
        """Returns the result under ``key``, without a task's switch, if there is one."""
        return self._results.find(key)

    def get(
        self, owners: Sequence[Any], key: Hashable, run: Callable[[*Ts], Awaitable[NodeResult]], *arguments: *Ts
    ) -> Awaitable[NodeResult]:
        """Awaited, returns the result under ``key``, running ``run`` once for all who ask at the same time.

        Args:
            owners: What the key names by their ``id``; held, so that nothing else is given the same.
            key: What the result depends on.
            run: Makes it.
            arguments: What it is called with.
        """
        for owner in owners:
            if id(owner) not in self._owners:
                self._owners[id(owner)] = owner
        return self._results.get(key, run, *arguments)


class Executor:
    """Runs graphs with one client.

    Args:
        client: Makes the model calls.
        memo: Remembers node results; a run without one starts afresh.
    """

    def __init__(self, client: LMClient, memo: NodeMemo | None = None) -> None:
        self._client = client
        self._memo = memo
        self._steps: dict[tuple[int, tuple[str, ...]], tuple[ProgramGraph, list[list[str]]]] = {}

    async def run(
        self,
        program: TaskProgram,
        prompts: Mapping[str, RenderedPrompt],
        models: Mapping[str, LanguageModel],
        inputs: Mapping[str, Any],
        nodes: Sequence[str],
        wanted: Iterable[Reference] | None = None,
        after: Trace | None = None,
    ) -> Trace:
        """Returns the trace of one run; an answer that cannot be read ends it early and is in its ``error``.

        Args:
            program: The graph with the task's signatures.
            prompts: Node → prompt, for the nodes that ask a model.
            models: Node → model, for the same nodes.
            inputs: The program's inputs; those left out take their default.
            nodes: The nodes to run; all that they read must be among them. Where something in the graph is guarded,
                those run that ``wanted`` turns out to need.
            wanted: What the run is for; what the task returns, if not given.
            after: The trace of a run on the same inputs that wanted less, from where this one goes on.

        Raises:
            FusionProgError: if a model cannot be reached or a function fails.
        """
        defaults = {name: each.default for name, each in program.graph.inputs.items() if not each.required}
        trace = Trace({**defaults, **inputs}) if after is None else after
        graph = program.graph
        steps: Iterable[list[str]]
        if graph.guarded:
            steps = _on_demand(graph, tuple(program.outputs.values() if wanted is None else wanted), trace)
        else:
            steps = self._generations(graph, tuple(nodes))
            if after is not None:
                done = {ref.node for ref in trace.fields}
                steps = [[name for name in step if name not in done] for step in steps]
        for step in steps:
            if len(step) == 1:
                name = step[0]
                trace.add(name, await self._node(program, prompts, models, name, trace))
            else:
                every = (self._node(program, prompts, models, name, trace) for name in step)
                for name, result in zip(step, await asyncio.gather(*every), strict=True):
                    trace.add(name, result)
            if trace.error is not None:
                break
        return trace

    async def ask(self, model: LanguageModel, request: Request, sample: int) -> tuple[bytes, Completion]:
        """Returns key and answer of one call that no node makes; raises as the client does."""
        return await self._client.complete(model, request, sample=sample)

    async def _node(
        self,
        program: TaskProgram,
        prompts: Mapping[str, RenderedPrompt],
        models: Mapping[str, LanguageModel],
        name: str,
        trace: Trace,
    ) -> NodeResult:
        node = program.graph.nodes[name]
        inputs = {
            target: source.value if isinstance(source, Constant) else trace.value(source)
            for target, source in node.sources.items()
        }
        module, prompt = node.module, prompts.get(name)
        if module.calls_nodes:
            return await run_code(self._client, program.graph, name, inputs, prompts, models)
        if self._memo is None or not module.repeatable:
            return await self._run(module, inputs, prompt, models.get(name))
        if prompt is None:
            return await self._memo.get((module,), (id(module), digest(inputs)), self._run, module, inputs, None, None)
        model = models[name]
        key = (id(model), id(module), name, prompt.id, prompt.input_key(inputs))
        found = self._memo.find(key)
        if found is not None:
            return found
        return await self._memo.get((model, module), key, self._run, module, inputs, prompt, model)

    async def _run(
        self, module: Module, inputs: Mapping[str, Any], prompt: RenderedPrompt | None, model: LanguageModel | None
    ) -> NodeResult:
        ask = AskModel(self._client, model, prompt)
        try:
            return NodeResult(await module.run(inputs, ask), ask.calls, None)
        except LMOutputError as error:
            return NodeResult(None, ask.calls, error)

    def _generations(self, graph: ProgramGraph, nodes: tuple[str, ...]) -> list[list[str]]:
        """Nodes in steps: those of one step read nothing of each other. What code calls is run by its caller."""
        key = (id(graph), nodes)
        if key not in self._steps:
            run = [name for name in nodes if graph.nodes[name].called_by is None]
            steps = nx.topological_generations(graph.digraph().subgraph(run))
            self._steps[key] = graph, [sorted(step) for step in steps]
        return self._steps[key][1]


def _on_demand(graph: ProgramGraph, wanted: Sequence[Reference], trace: Trace) -> Iterator[list[str]]:
    """Nodes in steps, each chosen when the one before has run: what that made may decide a guard."""
    ran = trace.ran = set() if trace.ran is None else trace.ran
    while step := due(graph, wanted, ran, trace.fields, trace.inputs):
        for name in step:
            ran.update((name, *called_nodes(graph, name)))
        yield step
