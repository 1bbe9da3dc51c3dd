"""Prompts rendered once per node, task and candidate; a call only fills in its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fusionprog._internal.canonical import digest
from fusionprog.errors import CallError
from fusionprog.fusion.compose import Composition, compose
from fusionprog.lm.dspy_adapters import PromptFormat, plain_fields
from fusionprog.lm.model import Message, Request, prefix_digest
from fusionprog.program.signature import SignatureType, rebuild
from fusionprog.program.task import TaskProgram
from fusionprog.prompts.items import Content, Item
from fusionprog.prompts.mixture import Mixture
from fusionprog.prompts.schedule import FORMATS, Schedule

_PROMPT_FORMATS = {name: PromptFormat(name) for name in FORMATS}


@dataclass(frozen=True)
class TaggedLine:
    """One line of a message and the item it comes from (``None``: the program itself)."""

    text: str
    item: str | None


@dataclass(frozen=True, eq=False)
class RenderedPrompt:
    """A node's prompt in one task, complete but for the inputs of a call.

    Attributes:
        signature: What the model is asked, with the composed instructions.
        composition: What the pool added.
        prefix: System message and demonstrations; the same in every call.
        demo_items: The item of each demonstration, in the order they are shown.
        user_parts: The last message, cut at its inputs.
        id: Equal ids make equal messages from equal inputs.
        format: How the prompt is written and answers are read.
    """

    signature: SignatureType
    composition: Composition
    prefix: tuple[Message, ...]
    demo_items: tuple[str, ...]
    user_parts: tuple[str, ...]
    id: str
    format: PromptFormat

    def messages(self, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
        """Returns the messages for one call; inputs that are left out take their declared default.

        Raises:
            CallError: if one without a default is left out.
        """
        return self.request(inputs).messages

    def request(self, inputs: Mapping[str, Any]) -> Request:
        """Returns what the model is asked in one call; see ``messages``."""
        pieces = [self.user_parts[0]]
        for name, after in zip(self.input_names, self.user_parts[1:], strict=True):
            value = self._input(inputs, name)
            pieces += (value if type(value) is str else self.format.value(self.signature, name, value), after)
        return Request(self.prefix, self.prefix_id, "".join(pieces))

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The signature's input fields, in order."""
        return tuple(self.signature.input_fields)

    @cached_property
    def prefix_id(self) -> str:
        """Digest of the prefix."""
        return prefix_digest(self.prefix)

    def input_key(self, inputs: Mapping[str, Any]) -> tuple[Any, ...] | str:
        """Returns what tells calls of this prompt apart."""
        values = tuple(self._input(inputs, name) for name in self.input_names)
        return values if all(type(value) is str for value in values) else digest(list(values))

    def parse(self, text: str) -> dict[str, Any]:
        """Reads the output fields from a model's answer; raises ``LMOutputError`` if it cannot."""
        return self.format.parse(self.signature, text, self._plain_fields)

    @cached_property
    def _plain_fields(self) -> Mapping[str, Any]:
        return plain_fields(self.signature)

    def tagged(self, inputs: Mapping[str, Any]) -> list[tuple[str, list[TaggedLine]]]:
        """Returns the messages as ``(role, lines)``, each line with the item it comes from."""
        messages = self.messages(inputs)
        lines = [message["content"].split("\n") for message in messages]
        said = self.composition.lines  # the end of the system message
        head = len(lines[0]) - len(said)
        first = [TaggedLine(text, None) for text in lines[0][:head]]
        first += [TaggedLine(text, line.item) for text, line in zip(lines[0][head:], said, strict=True)]
        shown = [*(item for item in self.demo_items for _ in range(2)), None]
        rest = [[TaggedLine(text, item) for text in own] for item, own in zip(shown, lines[1:], strict=True)]
        return [(message["role"], own) for message, own in zip(messages, [first, *rest], strict=True)]

    def _input(self, inputs: Mapping[str, Any], name: str) -> Any:
        if name in inputs:
            return inputs[name]
        field = self.signature.input_fields[name]
        if field.is_required():
            raise CallError(f"the prompt's input {name!r} is missing", found=f"inputs {sorted(inputs)}")
        return field.get_default(call_default_factory=True)


def render(signature: SignatureType, composition: Composition) -> RenderedPrompt:
    """Returns the prompt that a node with this signature asks its model.

    Args:
        signature: What the node's module asks, with the instructions as written.
        composition: Instructions and demonstrations in their place.
    """
    form = _PROMPT_FORMATS[composition.format]  # type: ignore[index]
    asked = signature
    if composition.instructions != signature.instructions:
        asked = rebuild(signature, {}, composition.instructions)
    shown = sorted(composition.demos, key=lambda pair: form.is_complete(asked, pair[1]))
    demos = [(item, form.demo(asked, demo)) for item, demo in shown]
    demos = [(item, messages) for item, messages in demos if messages]
    prefix = [
        {"role": "system", "content": form.system(asked)},
        *(each for _, pair in demos for each in pair),
    ]
    parts = form.user_parts(asked)
    return RenderedPrompt(
        signature=asked,
        composition=composition,
        prefix=tuple(prefix),
        demo_items=tuple(item for item, _ in demos),
        user_parts=parts,
        id=digest([[message["role"], message["content"]] for message in prefix] + [list(parts), composition.format]),
        format=form,
    )


@dataclass(frozen=True, eq=False)
class TaskView:
    """A task as the runtime sees it.

    Attributes:
        name: Its name.
        domain: Its domain.
        program: The graph with the task's signatures.
        embedding: Its coordinates in the basis, shape ``(n_components,)``.
        offered: Node → item → text or demonstrations on offer there.
    """

    name: str
    domain: str
    program: TaskProgram
    embedding: tuple[float, ...]
    offered: Mapping[str, Mapping[str, Content]] = field(default_factory=dict)

    @cached_property
    def prompting_nodes(self) -> tuple[str, ...]:
        """The nodes that ask a model, in order."""
        return tuple(name for name in self.program.graph.order() if self.program.prompted(name) is not None)


class Renderer:
    """Turns schedules into prompts; equal compositions are rendered once.

    Args:
        items: All items by id.
    """

    def __init__(self, items: Mapping[str, Item]) -> None:
        self._items = items
        self._made: dict[tuple[str, str, str], RenderedPrompt] = {}

    def mixtures(self, schedule: Schedule, task: TaskView) -> dict[str, Mixture]:
        """Returns node → mixture of a task."""
        return {node: self._mixture(schedule, task, node) for node in task.prompting_nodes}

    def prompts(
        self, schedule: Schedule, task: TaskView, nodes: Iterable[str] | None = None
    ) -> dict[str, RenderedPrompt]:
        """Returns node → prompt of a task, for all nodes that ask a model or those among ``nodes``."""
        wanted = set(task.prompting_nodes if nodes is None else nodes)
        return {
            node: self.from_mixture(schedule, task, node, self._mixture(schedule, task, node))
            for node in task.prompting_nodes
            if node in wanted
        }

    def from_mixture(self, schedule: Schedule, task: TaskView, node: str, mixture: Mixture) -> RenderedPrompt:
        """Returns the prompt that a mixture makes at a node of a task."""
        signature = task.program.prompted(node)
        assert signature is not None
        form = schedule.settings(node, task.name).format
        composition = compose(signature.instructions, mixture, task.offered.get(node, {}), form)
        key = (task.name, node, composition.id)
        if key not in self._made:
            self._made[key] = render(signature, composition)
        return self._made[key]

    def _mixture(self, schedule: Schedule, task: TaskView, node: str) -> Mixture:
        return schedule.mixture(node, task.name, task.embedding, self._items, task.offered.get(node, {}))
