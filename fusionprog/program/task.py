"""A task: what a program is to do in one domain, and the data that says how well it does it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from fusionprog._internal.canonical import jsonable
from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import DataError, ProgramError
from fusionprog.program.data import Row, Rows, read_rows
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramGraph, Reference, When
from fusionprog.program.signature import SignatureType, closed_choice, output_types, specialise
from fusionprog.program.sources import Leaf, followed, leaves

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
_TASK_NAME = re.compile(r"[\w][\w.-]*")


@dataclass(frozen=True, eq=False)
class Task:
    """What a program is to do in one domain.

    Attributes:
        name: Letters, digits, ``_``, ``-`` and dots; unique in a program.
        domain: The field of knowledge; fragments may be written per domain. The name, if empty.
        description: One or two sentences; the task's embedding reads them.
        train: Rows that families (glossaries, demonstrations) are made from: a list of dicts or
            ``dspy.Example``s, or the path of a ``.jsonl`` or ``.csv`` file.
        val: Rows that the search and the final choice score candidates on.
        test: Rows that are only reported on, once, at the end.
        metric: One of ``fusionprog.metrics``, a ``fusionprog.Metric``, a program, or any function of DSPy's forms.
        labels: ``"node.field"`` → the closed choice that this output field has in this task.
        signatures: Node → a signature whose texts and types replace the node's; field names stay.
        outputs: The outputs that a call returns: public names or ``"node.field"``; all public ones if empty.
        private: Keeps rows of this task's data out of artifacts and of other tasks' prompts.
    """

    name: str
    domain: str = ""
    description: str = ""
    train: Rows = field(default=(), repr=False)
    val: Rows = field(default=(), repr=False)
    test: Rows | None = field(default=None, repr=False)
    metric: Any = None
    labels: Mapping[str, Sequence[Any]] | None = None
    signatures: Mapping[str, SignatureType] | None = None
    outputs: Sequence[str] = ()
    private: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _TASK_NAME.fullmatch(self.name):
            raise DataError(
                f"{self.name!r} is no task name",
                expected="letters, digits, '_', '-' and dots",
                fix="Rename the task, e.g. 'web-shop'",
            )
        if self.metric is None:
            raise DataError(
                f"task {self.name!r} has no metric",
                fix="Pass metric=, e.g. fusionprog.metrics.exact_match('label')",
            )
        for part in ("labels", "signatures"):
            given = getattr(self, part)
            if given is not None and not isinstance(given, Mapping):
                raise DataError(
                    f"task {self.name!r}: {part} is no mapping", expected="a dict", found=type(given).__name__
                )
        if isinstance(self.outputs, str):
            raise DataError(
                f"task {self.name!r}: outputs is one text", expected="a list", fix=f"Write outputs=[{self.outputs!r}]"
            )
        if not self.domain:
            object.__setattr__(self, "domain", self.name)

    @cached_property
    def rows(self) -> Mapping[Split, tuple[Row, ...]]:
        """The splits, read once; ``test`` is empty where none is given.

        Raises:
            DataError: if a split cannot be read.
        """
        return {
            split: read_rows(() if (source := getattr(self, split)) is None else source, f"task {self.name!r}, {split}")
            for split in SPLITS
        }


@dataclass(frozen=True)
class TaskProgram:
    """A program as one task sees it: its graph with the task's signatures.

    Attributes:
        task: The task's name.
        signatures: Node → signature in this task.
        outputs: What a call returns: public name → field.
    """

    task: str
    graph: ProgramGraph
    signatures: Mapping[str, SignatureType]
    outputs: Mapping[str, Reference]

    def prompted(self, node: str) -> SignatureType | None:
        """Returns the signature that the node asks its model, or ``None`` if it asks none."""
        return self._prompted[node]

    @cached_property
    def _prompted(self) -> Mapping[str, SignatureType | None]:
        return {name: node.module.prompted(self.signatures[name]) for name, node in self.graph.nodes.items()}

    @cached_property
    def public_fields(self) -> Mapping[str, FieldRef]:
        """Column name → the node field it holds the gold value of: the public outputs.

        Where an input has the name of an output, the column is the input.
        """
        return {
            name: ref
            for name, ref in self.graph.outputs.items()
            if isinstance(ref, FieldRef) and name not in self.graph.inputs
        }

    def demos(self, node: str) -> tuple[Mapping[str, Any], ...]:
        """Returns the node's written demonstrations, less those with a label that this task has not."""
        return self._demos[node]

    @cached_property
    def _demos(self) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
        return {
            name: tuple(demo for demo in node.module.demos if _has_labels(demo, self.prompted(name)))
            for name, node in self.graph.nodes.items()
        }

    @cached_property
    def gold_types(self) -> Mapping[str, tuple[Any, ...]]:
        """Column name → the types that its gold value may have: of a guarded output, those of either side."""
        return {
            name: tuple(self._type_of(leaf) for leaf in leaves(source))
            for name, source in self.graph.outputs.items()
            if not isinstance(source, InputRef) and name not in self.graph.inputs
        }

    def node_row(self, node: str, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what a row says about a node: the input and output fields whose values are columns of it.

        An input that is fed by an input of the program is that column; an output that is public is the column of
        the public name; an edge between two nodes carries the gold value of the public output, if there is one.
        The column of a guarded output is what the side makes that the row's conditions choose. Where the row does not
        tell them, it is what either side should make; but it is not what a node reads, as it then may be a wrong one.
        Of a node that code calls, fields are the columns of their names that are inputs or outputs of the program.
        """
        if self.graph.nodes[node].called_by is not None:
            return self._called_row(self.prompted(node), columns)
        made, may_be_made = self._shown(columns)
        values: dict[str, Any] = {}
        for name, source in self.graph.nodes[node].sources.items():
            leaf, known = followed(source, _told(made, columns))
            if not known:
                continue
            if isinstance(leaf, Constant):
                values[name] = leaf.value
            elif isinstance(leaf, InputRef) and leaf.name in columns:
                values[name] = columns[leaf.name]
            elif isinstance(leaf, FieldRef) and leaf in made:
                values[name] = made[leaf]
        for name in (self.prompted(node) or self.signatures[node]).output_fields:
            if FieldRef(node, name) in may_be_made:
                values[name] = may_be_made[FieldRef(node, name)]
        return values

    def _called_row(self, signature: SignatureType | None, columns: Mapping[str, Any]) -> dict[str, Any]:
        assert signature is not None
        known = {*self.graph.inputs, *self.public_fields}
        named = {name: columns[name] for name in signature.fields if name in known and name in columns}
        return {name: value for name, value in named.items() if _has_labels({name: value}, signature)}

    def _shown(self, columns: Mapping[str, Any]) -> tuple[dict[FieldRef, Any], dict[FieldRef, Any]]:
        """The fields whose values a row tells, and those of either side of guards that it does not tell as well."""
        made = {ref: columns[name] for name, ref in self.public_fields.items() if name in columns}
        may_be_made: dict[FieldRef, Any] = {}
        for name, source in self.graph.outputs.items():
            if isinstance(source, When) and name in columns and name not in self.graph.inputs:
                leaf, known = followed(source, _told(made, columns))
                sides, shown = ([leaf], made) if known else (leaves(source), may_be_made)
                for side in sides:
                    if isinstance(side, FieldRef):
                        shown.setdefault(side, columns[name])
        return made, {**may_be_made, **made}

    def _type_of(self, leaf: Leaf) -> Any:
        if isinstance(leaf, FieldRef):
            return output_types(self.prompted(leaf.node) or self.signatures[leaf.node])[leaf.field]
        return Literal[leaf.value] if isinstance(leaf, Constant) else self.graph.inputs[leaf.name].annotation


def _told(made: Mapping[FieldRef, Any], columns: Mapping[str, Any]) -> Callable[[Leaf], bool | None]:
    """Whether a condition is true, as far as a row tells it."""

    def truth(leaf: Leaf) -> bool | None:
        if isinstance(leaf, Constant):
            return bool(leaf.value)
        value = made.get(leaf) if isinstance(leaf, FieldRef) else columns.get(leaf.name)
        return value if isinstance(value, bool) else None

    return truth


def _has_labels(demo: Mapping[str, Any], signature: SignatureType | None) -> bool:
    """Whether all labels of a demonstration are labels of the signature."""
    for name, output in ({} if signature is None else signature.output_fields).items():
        known, plain = closed_choice(output.annotation), jsonable(demo.get(name))
        labels = plain if isinstance(plain, list) else [plain]
        if known and any(label is not None and label not in known for label in labels):
            return False
    return True


def bind(graph: ProgramGraph, task: Task) -> TaskProgram:
    """Returns the program as ``task`` sees it.

    Raises:
        ProgramError: if the task names an unknown node, field or output, or its signatures do not fit the graph.
    """
    where = f"task {task.name!r}"
    labels: dict[str, dict[str, Sequence[Any]]] = {}
    for key, choices in (task.labels or {}).items():
        node, _, name = str(key).rpartition(".")
        if not node:
            fields = [f"{each}.{made}" for each in graph.nodes for made in graph.nodes[each].signature.output_fields]
            raise ProgramError(
                f"{where}, labels: {key!r} names no field of a node",
                expected="'node.field'",
                fix=did_you_mean(str(key), fields),
            )
        _check_node(graph, node, f"{where}, labels")
        labels.setdefault(node, {})[name] = choices
    for node in task.signatures or {}:
        _check_node(graph, node, f"{where}, signatures")
    signatures = {
        name: specialise(
            node.signature,
            labels=labels.get(name, {}),
            replacement=(task.signatures or {}).get(name),
            where=f"{where}, node {name!r}",
        )
        for name, node in graph.nodes.items()
    }
    graph.validate(signatures, where)
    try:
        outputs = {name: graph.resolve(name) for name in task.outputs} if task.outputs else graph.outputs
    except ProgramError as error:
        raise ProgramError(f"{where}, outputs: {error.problem}", fix=error.fix) from None
    return TaskProgram(task.name, graph, signatures, outputs)


def check_tasks(tasks: Sequence[Task]) -> None:
    """Checks that there are tasks and that their names differ.

    Raises:
        DataError: if not.
    """
    fix = "Pass tasks=[fusionprog.Task(...), ...]"
    if isinstance(tasks, Task) or not isinstance(tasks, Sequence):
        raise DataError("tasks is no list", expected="a list of tasks", found=type(tasks).__name__, fix=fix)
    if not tasks:
        raise DataError("there are no tasks", fix=fix)
    for each in tasks:
        if not isinstance(each, Task):
            raise DataError(
                "tasks holds something else", expected="fusionprog.Task", found=type(each).__name__, fix=fix
            )
    names = [each.name for each in tasks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"two tasks are named {twice[0]!r}", fix="Give each task a name of its own")


def _check_node(graph: ProgramGraph, node: str, where: str) -> None:
    if node not in graph.nodes:
        raise ProgramError(f"{where}: there is no node {node!r}", fix=did_you_mean(node, graph.nodes))
