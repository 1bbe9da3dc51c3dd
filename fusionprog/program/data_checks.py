"""What must hold of a task's rows: columns, types, labels, and no row of train that is a row of test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import NoneType
from typing import Any

from fusionprog._internal.canonical import canonical_json, jsonable
from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import DataError
from fusionprog.program.data import Row
from fusionprog.program.signature import closed_choice
from fusionprog.program.task import Split, Task, TaskProgram
from fusionprog.program.types import fits, type_name, typed


def check_data(program: TaskProgram, task: Task, gold: Iterable[str]) -> list[str]:
    """Checks a task's rows against the program and each other, before anything is spent.

    Args:
        program: The program as the task sees it.
        task: The task; its splits are read here.
        gold: Columns that the metric reads.

    Returns:
        Warnings: rows of train that are in test but for case and white space, or in val.

    Raises:
        DataError: if a split is empty, a row lacks a column, a label is outside of its label set, or a row of
            train is in test with all its inputs equal.
    """
    gold = tuple(gold)
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
    gold = tuple(gold)
    columns = [*(each.name for each in program.graph.inputs.values() if each.required), *gold]
    types = program.gold_types
    choices = {name: _all_labels(either) for name, either in types.items()}
    filled = [name for name in gold if name in types and not any(fits(NoneType, each) for each in types[name])]
    for index, row in enumerate(rows):
        place = f"{where}, row {index}"
        _check_columns(program, row, place, columns)
        for name in filled:
            if row.columns[name] is None:
                raise DataError(f"{place} has no value in column {name!r}", fix="Give one, or leave the row out")
        for name, known in choices.items():
            if known and row.columns.get(name) is not None:
                _check_labels(row.columns[name], known, f"{place}, column {name!r}")


def _check_columns(program: TaskProgram, row: Row, where: str, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in row.columns:
            raise DataError(
                f"{where} has no column {column!r}",
                found=f"columns {sorted(row.columns)}",
                fix=f"Add {column!r} to the row",
            )
    for name, each in program.graph.inputs.items():
        if name not in row.columns:
            continue
        try:
            typed(row.columns[name], each.annotation)
        except ValueError as error:
            raise DataError(
                f"{where}, input {name!r} has the wrong type",
                expected=type_name(each.annotation),
                found=repr(row.columns[name])[:80],
                fix="Mend the row, or the type of the program's input",
            ) from error


def _all_labels(types: Sequence[Any]) -> tuple[Any, ...]:
    """The labels that a value of any of the types may be; none if one of them is open."""
    choices = [closed_choice(each) for each in types]
    return tuple(dict.fromkeys(label for each in choices for label in each)) if all(choices) else ()


def _check_labels(value: Any, known: Sequence[Any], where: str) -> None:
    plain = jsonable(value)
    for label in plain if isinstance(plain, list) else [plain]:
        if label in known:
            continue
        if str(label) in map(str, known):
            raise DataError(
                f"{where}: {label!r} is a label of another type",
                expected=f"one of {list(known)!r}",
                fix="Give it that type (in a .csv file all values are texts; .jsonl keeps types)",
            )
        raise DataError(
            f"{where}: {label!r} is no label of this task",
            fix=f"{did_you_mean(str(label), map(str, known))}; a task's label set is given by labels=",
        )


def _check_leaks(program: TaskProgram, task: Task) -> list[str]:
    def inputs(row: Row) -> Any:
        return jsonable({name: row.columns.get(name) for name in program.graph.inputs})

    def by_inputs(split: Split, normal: Callable[[Any], Any]) -> dict[str, int]:
        return {canonical_json(normal(inputs(row))): index for index, row in enumerate(task.rows[split])}

    test, loose_test, val = (
        by_inputs("test", _same),
        by_inputs("test", _without_case_and_space),
        by_inputs("val", _same),
    )
    warnings = []
    for index, row in enumerate(task.rows["train"]):
        key, where = canonical_json(inputs(row)), f"task {task.name!r}: train row {index}"
        if key in test:
            raise DataError(
                f"{where} is test row {test[key]}, all inputs are equal",
                fix="Remove it from train; a test score on rows that demonstrations show means nothing",
            )
        if (twin := loose_test.get(canonical_json(_without_case_and_space(inputs(row))))) is not None:
            warnings.append(f"{where} is test row {twin} but for case and white space")
        if key in val:
            warnings.append(f"{where} is val row {val[key]}; demonstrations may show its answer")
    return warnings


def _same(value: Any) -> Any:
    return value


def _without_case_and_space(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.casefold().split())
    if isinstance(value, list):
        return [_without_case_and_space(item) for item in value]
    return {key: _without_case_and_space(item) for key, item in value.items()} if isinstance(value, dict) else value
