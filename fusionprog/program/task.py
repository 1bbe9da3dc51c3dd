"""A task: what a program is to do in one domain, and the data that says how well it does it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from pydantic import TypeAdapter, ValidationError

from fusionprog._internal.canonical import canonical_json
from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import DataError, ProgramError
from fusionprog.program.data import Row, Rows, read_rows
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramGraph
from fusionprog.program.signature import SignatureType, closed_choice, output_types, specialise
from fusionprog.program.types import type_name

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
    train: Rows = ()
    val: Rows = ()
    test: Rows | None = None
    metric: Any = None
    labels: Mapping[str, Sequence[Any]] | None = None
    signatures: Mapping[str, SignatureType] | None = None
    outputs: Sequence[str] = ()
    private: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _TASK_NAME.fullmatch(self.name):
            raise DataError(f"{self.name!r} is no task name", expected="letters, digits, '_', '-' and dots")
        if self.metric is None:
            raise DataError(
                f"task {self.name!r} has no metric",
                fix="Pass metric=, e.g. fusionprog.metrics.exact_match('label')",
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
            split: read_rows(source, f"task {self.name!r}, {split}")
            for split in SPLITS
            for source in [getattr(self, split) or ()]
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
    outputs: Mapping[str, InputRef | FieldRef]

    def prompted(self, node: str) -> SignatureType | None:
        """Returns the signature that the node asks its model, or ``None`` if it asks none."""
        return self.graph.nodes[node].module.prompted(self.signatures[node])

    @cached_property
    def public_fields(self) -> Mapping[str, FieldRef]:
        """Column name → the node field it holds the gold value of: the public outputs."""
        return {name: ref for name, ref in self.graph.outputs.items() if isinstance(ref, FieldRef)}

    def node_row(self, node: str, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what a row says about a node: the input and output fields whose values are columns of it.

        An input that is fed by an input of the program is that column; an output that is public is the column of
        the public name; an edge between two nodes carries the gold value of the public output, if there is one.
        """
        shown = {ref: columns[name] for name, ref in self.public_fields.items() if name in columns}
        values: dict[str, Any] = {}
        for name, source in self.graph.nodes[node].sources.items():
            if isinstance(source, Constant):
                values[name] = source.value
            elif isinstance(source, InputRef) and source.name in columns:
                values[name] = columns[source.name]
            elif isinstance(source, FieldRef) and source in shown:
                values[name] = shown[source]
        for name in (self.prompted(node) or self.signatures[node]).output_fields:
            if FieldRef(node, name) in shown:
                values[name] = shown[FieldRef(node, name)]
        return values


def bind(graph: ProgramGraph, task: Task) -> TaskProgram:
    """Returns the program as ``task`` sees it.

    Raises:
        ProgramError: if the task names an unknown node, field or output, or its signatures do not fit the graph.
    """
    where = f"task {task.name!r}"
    labels: dict[str, dict[str, Sequence[Any]]] = {}
    for key, choices in (task.labels or {}).items():
        ref = FieldRef.parse(key)
        _check_node(graph, ref.node, f"{where}, labels")
        labels.setdefault(ref.node, {})[ref.field] = choices
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
    outputs = {name: graph.resolve(name) for name in task.outputs} if task.outputs else graph.outputs
    return TaskProgram(task.name, graph, signatures, outputs)


def check_data(program: TaskProgram, task: Task, gold: Iterable[str]) -> list[str]:
    """Checks a task's rows against the program and each other, before anything is spent.

    Args:
        program: The program as the task sees it.
        task: The task; its splits are read here.
        gold: Columns that the metric reads.

    Returns:
        Warnings: rows of train that are in test but for case and white space.

    Raises:
        DataError: if a split is empty, a row lacks a column, a label is outside of its label set, or a row of
            train is in test with all its inputs equal.
    """
    for split, rows in task.rows.items():
        if rows or split != "test" or task.test is not None:
            check_rows(program, rows, f"task {task.name!r}, {split}", gold if split != "train" else ())
    return _check_leaks(program, task)


def check_rows(program: TaskProgram, rows: Sequence[Row], where: str, gold: Iterable[str]) -> None:
    """Checks rows against a program.

    Args:
        program: The program as the task sees it.
        rows: The rows.
        where: What they are (``"task 'shop', val"``), for messages.
        gold: Columns that must be there beside the program's inputs.

    Raises:
        DataError: if there are none, one lacks a column, has a wrong type or a label outside of its label set.
    """
    if not rows:
        raise DataError(f"{where} is empty", fix="Give it at least one row")
    columns = [*(each.name for each in program.graph.inputs.values() if each.required), *gold]
    for index, row in enumerate(rows):
        _check_row(program, row, f"{where}, row {index}", columns)


def _check_row(program: TaskProgram, row: Row, where: str, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in row.columns:
            raise DataError(
                f"{where} has no column {column!r}",
                found=f"columns {sorted(row.columns)}",
                fix=f"Add {column!r} to the row",
            )
    for name, each in program.graph.inputs.items():
        if name in row.columns and each.annotation is not None:
            _check_value(row.columns[name], each.annotation, f"{where}, input {name!r}")
    for name, ref in program.public_fields.items():
        if name not in row.columns or row.columns[name] is None:
            continue
        annotation = output_types(program.prompted(ref.node) or program.signatures[ref.node])[ref.field]
        choices = closed_choice(annotation)
        value = row.columns[name]
        given = value if isinstance(value, (list, tuple, set)) else [value]
        wrong = [each for each in given if choices and getattr(each, "value", each) not in choices]
        if wrong:
            raise DataError(
                f"{where}: {wrong[0]!r} is no label of {ref} in this task",
                fix=f"{did_you_mean(str(wrong[0]), map(str, choices))}; a task's label set is given by labels=",
            )


def _check_value(value: Any, annotation: Any, where: str) -> None:
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        raise DataError(
            f"{where} has the wrong type", expected=type_name(annotation), found=repr(value)[:80]
        ) from error


def _check_leaks(program: TaskProgram, task: Task) -> list[str]:
    def key(row: Row, normal: bool) -> str:
        text = canonical_json({name: row.columns.get(name) for name in program.graph.inputs})
        return " ".join(text.casefold().split()) if normal else text

    test = task.rows["test"]
    exact = {key(row, False): index for index, row in enumerate(test)}
    loose = {key(row, True): index for index, row in enumerate(test)}
    val = {key(row, False): index for index, row in enumerate(task.rows["val"])}
    warnings = []
    for index, row in enumerate(task.rows["train"]):
        if (twin := exact.get(key(row, False))) is not None:
            raise DataError(
                f"task {task.name!r}: train row {index} is test row {twin}, all inputs are equal",
                fix="Remove it from train; a test score on rows that demonstrations show means nothing",
            )
        if (twin := loose.get(key(row, True))) is not None:
            warnings.append(f"task {task.name!r}: train row {index} is test row {twin} but for case and white space")
        if (twin := val.get(key(row, False))) is not None:
            warnings.append(
                f"task {task.name!r}: train row {index} is val row {twin}; demonstrations may show its answer"
            )
    return warnings


def check_tasks(tasks: Sequence[Task]) -> None:
    """Checks that there are tasks and that their names differ.

    Raises:
        DataError: if not.
    """
    if not tasks:
        raise DataError("there are no tasks", fix="Pass tasks=[fusionprog.Task(...), ...]")
    for each in tasks:
        if not isinstance(each, Task):
            raise DataError("tasks holds something else", expected="fusionprog.Task", found=type(each).__name__)
    names = [each.name for each in tasks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"two tasks are named {twice[0]!r}", fix="Give each task a name of its own")


def _check_node(graph: ProgramGraph, node: str, where: str) -> None:
    if node not in graph.nodes:
        raise ProgramError(f"{where}: there is no node {node!r}", fix=did_you_mean(node, graph.nodes))
