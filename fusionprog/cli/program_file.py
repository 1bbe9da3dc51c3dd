"""Reads what a program file or a file of tasks defines."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import DataError, FusionProgError, ProgramError
from fusionprog.program.program import Program
from fusionprog.program.task import Task, check_tasks

_OF_TASKS = ("pool", "lm", "budget", "limits", "embedder")


@dataclass(frozen=True)
class TasksFile:
    """What a file of tasks defines: ``tasks``, and if it likes the others."""

    tasks: list[Task]
    pool: Any = None
    lm: Any = None
    budget: Any = None
    limits: Any = None
    embedder: Any = None
    program: Any = None


@dataclass(frozen=True)
class ProgramFile(TasksFile):
    """What a program file defines: ``program`` and ``tasks``, and if it likes the others."""

    objective: Any = None


def read_program_file(reference: str) -> ProgramFile:
    """Runs a program file and returns what it defines.

    Args:
        reference: ``FILE.py``, or ``FILE.py:name`` to compile another variable than ``program``.

    Raises:
        ProgramError: if the file is missing, fails, or lacks ``program`` or ``tasks``.
    """
    path, _, name = reference.partition(".py:")
    path = path if path.endswith(".py") else f"{path}.py"
    module = import_file(path)
    program = _made(_variable(module, name or "program", reference), path)
    others = _others(module, (*_OF_TASKS, "objective"))
    return ProgramFile(program=program, tasks=_tasks(module, reference), **others)


def read_tasks_file(path: str) -> TasksFile:
    """Runs a file of tasks, which may be a program file, and returns what it defines.

    Raises:
        ProgramError: if the file is missing, fails, or lacks ``tasks``.
    """
    module = import_file(path)
    program = _made(getattr(module, "program", None), path)
    return TasksFile(_tasks(module, path), **_others(module, _OF_TASKS), program=program)


def _made(program: Any, path: str) -> Any:
    """A program; where it is a class, one of it."""
    if isinstance(program, type) and issubclass(program, Program):
        with _running(path, Path(path).resolve()):
            return program()
    return program


def _tasks(module: ModuleType, where: str) -> list[Task]:
    tasks = _variable(module, "tasks", where)
    if not isinstance(tasks, Iterable):
        raise ProgramError(f"{where}: tasks is no list", found=type(tasks).__name__)
    return list(tasks)


def _others(module: ModuleType, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(module, name, None) for name in names}


def read_attribute(reference: str) -> Any:
    """Returns what ``FILE.py:name`` names.

    Raises:
        ProgramError: if there is no such file or name.
    """
    path, colon, name = reference.rpartition(":")
    if not colon:
        raise ProgramError(f"{reference!r} names nothing", expected="FILE.py:name")
    return _variable(import_file(path), name, path)


def import_file(path: str) -> ModuleType:
    """Imports a Python file by its path; modules beside it can be imported by it.

    Raises:
        ProgramError: if it is missing or fails.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise ProgramError(f"there is no program file {path!r}", fix="Write one with: fusionprog init DIR")
    name = f"fusionprog_program_{file.stem}"  # a file called random.py must not become everybody's random
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    with _running(path, file):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _running(path: str, file: Path) -> Iterator[None]:
    """What the user's code raises becomes an error that names the line."""
    try:
        yield
    except FusionProgError:
        raise
    except (Exception, SystemExit) as error:
        line = _line_in(error, str(file))
        raise ProgramError(f"{path}{line} failed", found=f"{type(error).__name__}: {error}") from error


def only_tasks(tasks: Iterable[Task], names: Iterable[str], limit: int | None) -> list[Task]:
    """Returns the tasks that are named (all, if none is), with at most ``limit`` rows a split.

    Raises:
        DataError: if a name is unknown, or the tasks are not sound.
    """
    all_tasks = list(tasks)
    check_tasks(all_tasks)
    by_name = {task.name: task for task in all_tasks}
    for name in names:
        if name not in by_name:
            raise DataError(f"there is no task {name!r}", fix=did_you_mean(name, by_name))
    chosen = [task for name, task in by_name.items() if not list(names) or name in names]
    return chosen if limit is None else [_shortened(task, limit) for task in chosen]


def _shortened(task: Task, limit: int) -> Task:
    rows = {split: [dict(row.columns) for row in all_rows[:limit]] for split, all_rows in task.rows.items()}
    return replace(task, train=rows["train"], val=rows["val"], test=rows["test"] or None)


def _variable(module: ModuleType, name: str, where: str) -> Any:
    if not hasattr(module, name):
        known = [key for key in vars(module) if not key.startswith("_")]
        raise ProgramError(f"{where} defines no {name!r}", fix=did_you_mean(name, known))
    return getattr(module, name)


def _line_in(error: BaseException, file: str) -> str:
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = f", line {trace.tb_lineno},"
        trace = trace.tb_next
    return line
