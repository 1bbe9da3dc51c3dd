"""Prompts rendered once per node, task and candidate; a call only fills in its inputs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from fusionprog._internal.canonical import digest
from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import CallError
from fusionprog.fusion.compose import Composition, compose
from fusionprog.lm.model import Message, Request, prefix_digest
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.inputs import check_input
from fusionprog.program.signature import SignatureType
from fusionprog.program.task import TaskProgram
from fusionprog.prompts.items import Content, Item
from fusionprog.prompts.mixture import Mixture
from fusionprog.prompts.schedule import Mixer, Schedule
from fusionprog.runtime.frame import Frame

K = TypeVar("K")
V = TypeVar("V")
_PER_MESSAGE = 16  # tokens that a provider may add around a message
_TEXT_ALONE = {str}
_MIXERS = 32  # schedules that are under way at once, and some more
_REMEMBERED = 10_000  # prompts; what was used longest ago is rendered again


@dataclass(frozen=True)
class TaggedLine:
    """One line of a message and the item it comes from (``None``: the program itself)."""

    text: str
    item: str | None


@dataclass(frozen=True, eq=False)
class RenderedPrompt:
    """A node's prompt in one task, complete but for the inputs of a call.

    Attributes:
        frame: What it shares with all prompts of its signature.
        composition: What the pool added.
        prefix: System message and demonstrations; the same in every call.
        prefix_id: Digest of the prefix.
        demo_items: The item of each demonstration, in the order they are shown (``None``: the program's own).
        id: Equal ids make equal messages from equal inputs.
    """

    frame: Frame
    composition: Composition
    prefix: tuple[Message, ...]
    prefix_id: str
    demo_items: tuple[str | None, ...]
    id: str

    @property
    def signature(self) -> SignatureType:
        """What the model is asked, with the instructions as written."""
        return self.frame.signature

    def messages(self, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
        """Returns the messages for one call; inputs that are left out take their declared default.

        Raises:
            CallError: if one without a default is left out.
        """
        return self.request(inputs).messages

    def request(self, inputs: Mapping[str, Any]) -> Request:
        """Returns what the model is asked in one call; see ``messages``."""
        frame = self.frame
        pieces = [frame.user_parts[0]]
        for name, value, after in zip(frame.input_names, self._values(inputs), frame.user_parts[1:], strict=True):
            pieces += (value if type(value) is str else frame.format.value(frame.signature, name, value), after)
        return Request(self.prefix, self.prefix_id, "".join(pieces))

    @cached_property
    def most_tokens(self) -> int:
        """Tokens that the messages have at most, without a call's inputs: no tokenizer makes two of a byte."""
        texts = [*(message["content"] for message in self.prefix), "".join(self.frame.user_parts)]
        return sum(len(text.encode()) + _PER_MESSAGE for text in texts)

    def input_key(self, inputs: Mapping[str, Any]) -> tuple[Any, ...] | str:
        """Returns what tells calls of this prompt apart."""
        values = self._values(inputs)
        return tuple(values) if set(map(type, values)) <= _TEXT_ALONE else digest(values)

    def parse(self, text: str) -> dict[str, Any]:
        """Reads the output fields from a model's answer; raises ``LMOutputError`` if it cannot."""
        return self.frame.reader.read(text)

    def tagged(self, inputs: Mapping[str, Any]) -> list[tuple[str, list[TaggedLine]]]:
        """Returns the messages as ``(role, lines)``, each line with the item it comes from."""
        messages = self.messages(inputs)
        lines = [message["content"].split("\n") for message in messages]
        said = self.composition.lines  # the end of the system message
        head = len(lines[0]) - len(said)
        first = [TaggedLine(text, None) for text in lines[0][:head]]
        first += [TaggedLine(text, line.item) for text, line in zip(lines[0][head:], said, strict=True)]
        shown: list[str | None] = [*(item for item in self.demo_items for _ in range(2)), None]
        rest = [[TaggedLine(text, item) for text in own] for item, own in zip(shown, lines[1:], strict=True)]
        return [(message["role"], own) for message, own in zip(messages, [first, *rest], strict=True)]

    def _values(self, inputs: Mapping[str, Any]) -> list[Any]:
        try:
            return [inputs[name] for name in self.frame.input_names]
        except KeyError:
            return [self._input(inputs, name) for name in self.frame.input_names]

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
    return _fill(Frame(signature, composition.format), composition)


def _fill(frame: Frame, composition: Composition) -> RenderedPrompt:
    shown = [(item, *frame.demo(demo)) for item, demo in composition.demos]
    demos = [(item, messages) for item, _, messages in sorted(shown, key=lambda each: each[1]) if messages]
    prefix = (frame.system(composition.instructions), *(each for _, pair in demos for each in pair))
    prefix_id = prefix_digest(prefix)
    return RenderedPrompt(
        frame=frame,
        composition=composition,
        prefix=prefix,
        prefix_id=prefix_id,
        demo_items=tuple(item for item, _ in demos),
        id=f"{prefix_id}-{frame.id}",
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

    def on(self, graph: ProgramGraph) -> TaskView:
        """Returns the task with a variant of its program's graph."""
        return replace(self, program=self.program.on(graph))

    @cached_property
    def prompting_nodes(self) -> tuple[str, ...]:
        """The nodes that ask a model, in order."""
        return tuple(name for name in self.program.graph.order() if self.program.prompted(name) is not None)


class Renderer:
    """Turns schedules into prompts; equal compositions are rendered once, and signatures only once in all.

    Args:
        items: All items by id.
    """

    def __init__(self, items: Mapping[str, Item]) -> None:
        self._items = items
        self._mixers: OrderedDict[int, Mixer] = OrderedDict()
        self._frames: dict[tuple[int, str], Frame] = {}
        self._recent: OrderedDict[tuple[int, int, str], tuple[Schedule, TaskView, RenderedPrompt]] = OrderedDict()
        self._composed: OrderedDict[Hashable, tuple[Sequence[Any], Composition]] = OrderedDict()
        self._made: OrderedDict[tuple[int, Hashable], RenderedPrompt] = OrderedDict()

    def mixtures(self, schedule: Schedule, task: TaskView) -> dict[str, Mixture]:
        """Returns node → mixture of a task."""
        return {node: self._mixture(schedule, task, node) for node in task.prompting_nodes}

    def prompts(
        self, schedule: Schedule, task: TaskView, nodes: Iterable[str] | None = None
    ) -> dict[str, RenderedPrompt]:
        """Returns node → prompt of a task, for all nodes that ask a model or those among ``nodes``, in their order."""
        wanted = task.prompting_nodes if nodes is None else nodes
        return {node: self._prompt(schedule, task, node) for node in wanted if task.program.prompted(node) is not None}

    def from_mixture(self, schedule: Schedule, task: TaskView, node: str, mixture: Mixture) -> RenderedPrompt:
        """Returns the prompt that a mixture makes at a node of a task."""
        signature = task.program.prompted(node)
        assert signature is not None
        form = schedule.settings(node, task.name).format
        composition = self._composition(signature, task, node, mixture, form)
        key = (id(signature), composition.key)  # the prompt holds the signature: its id stays its own
        if key not in self._made:
            _keep(self._made, key, _fill(self._frame(signature, form), composition))
        self._made.move_to_end(key)
        return self._made[key]

    def _composition(
        self, signature: SignatureType, task: TaskView, node: str, mixture: Mixture, form: str
    ) -> Composition:
        """What a mixture says at a node of a task; the same one in all tasks that it says the same in."""
        offered, demos = task.offered.get(node, {}), task.program.demos(node)
        used = [mixture, *demos, *(offered[item.id] for facet in mixture.facets for item in mixture.chosen(facet))]
        key = (form, signature.instructions, *map(id, used))  # all are held: their ids stay their own
        if key not in self._composed:
            _keep(self._composed, key, (used, compose(signature.instructions, mixture, offered, form, demos)))
        return self._composed[key][1]

    def _frame(self, signature: SignatureType, form: str) -> Frame:
        key = (id(signature), form)  # the frame holds the signature: its id stays its own
        if key not in self._frames:
            self._frames[key] = Frame(signature, form)
        return self._frames[key]

    def _prompt(self, schedule: Schedule, task: TaskView, node: str) -> RenderedPrompt:
        key = (id(schedule), id(task), node)  # both are held: their ids stay their own
        if key not in self._recent:
            mixture = self._mixture(schedule, task, node, chosen_only=True)
            _keep(self._recent, key, (schedule, task, self.from_mixture(schedule, task, node, mixture)))
        return self._recent[key][2]

    def _mixture(self, schedule: Schedule, task: TaskView, node: str, *, chosen_only: bool = False) -> Mixture:
        if id(schedule) not in self._mixers:
            self._mixers[id(schedule)] = Mixer(schedule)  # holds the schedule: its id stays its own
            if len(self._mixers) > _MIXERS:
                self._mixers.popitem(last=False)
        mixer, offered = self._mixers[id(schedule)], task.offered.get(node, {})
        return mixer.mixture(node, task.name, task.embedding, self._items, offered, chosen_only=chosen_only)


def _keep(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    if len(known) > _REMEMBERED:
        known.popitem(last=False)


def shown_inputs(prompt: RenderedPrompt, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a prompt is shown with: inputs that are checked, and ``{name}`` in the place of others.

    Raises:
        CallError: if an input is unknown or of the wrong type.
    """
    fields = prompt.signature.input_fields
    for name in inputs:
        if name not in fields:
            raise CallError(f"the node has no input {name!r}", fix=did_you_mean(name, fields))
    return {
        name: check_input(inputs[name], field.annotation, name) if name in inputs else f"{{{name}}}"
        for name, field in fields.items()
    }
