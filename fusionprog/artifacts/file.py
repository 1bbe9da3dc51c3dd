"""Saving and loading artifacts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fusionprog._internal.files import write_atomically
from fusionprog.artifacts.document import artifact_text, parse_artifact, read_text
from fusionprog.artifacts.program_codec import decode_program, encode_program
from fusionprog.artifacts.recorded_models import changed_models
from fusionprog.artifacts.registry.references import is_in_registry
from fusionprog.artifacts.registry.registry import Registry
from fusionprog.artifacts.schema import Artifact
from fusionprog.artifacts.text import content_hash
from fusionprog.artifacts.user_code import check_code, classes_of_graph, functions_of_graph
from fusionprog.errors import ArtifactError, ArtifactMismatchError
from fusionprog.lm.resolve import LMSpec, resolve_models
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.program import Program, program_graph
from fusionprog.program.task import Task
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.from_dspy import bind_module, classes_of

_LONGEST = 500


def save_program(program: CompiledProgram, path: str | os.PathLike[str]) -> None:
    """Writes an artifact, whole or not at all.

    Raises:
        ProgramError: if a type or a value of the program's graph cannot be kept in JSON.
        ArtifactError: if something else in it cannot, or the file cannot be written.
    """
    where = f"the artifact {str(path)!r}"
    text = artifact_text(program, where)
    try:
        write_atomically(Path(path), text)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{where} cannot be written", found=str(error)) from error


def hash_of(program: CompiledProgram) -> str:
    """Returns the hash that a program's artifact has.

    Raises:
        ProgramError: as ``save_program``.
        ArtifactError: as ``save_program``.
    """
    return content_hash(encode_program(program), f"the artifact of {program.graph.name!r}")


def pickled(program: CompiledProgram) -> tuple[Callable[[Mapping[str, Any]], CompiledProgram], tuple[Any, ...]]:
    """Returns what makes a program again from its artifact's data: without code, on models that their names make.

    Raises:
        ProgramError: as ``save_program``.
    """
    return _from_data, (encode_program(program),)


def _from_data(data: Mapping[str, Any]) -> CompiledProgram:
    return decode_program(Artifact.model_validate(data), {}, {})


def read_artifact(source: str | os.PathLike[str]) -> Artifact:
    """Reads and checks an artifact: JSON, version, hash, schema.

    Args:
        source: A file, or a version in a registry as ``load`` takes it.

    Raises:
        ArtifactError: naming what is wrong; ``ArtifactHashError`` if it was edited, ``ArtifactVersionError`` if it is
            newer than this package.
        RegistryError: if the registry cannot be read, or has no such version.
    """
    if is_in_registry(source):
        url, _, reference = str(source).rpartition("#")
        return Registry(url).artifact(reference)
    where = f"the artifact {str(source)!r}"
    return parse_artifact(read_text(source, where), where)


def load(
    path: str | os.PathLike[str],
    *,
    lm: LMSpec = None,
    types: Mapping[str, type] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    module: Any = None,
    program: Program | ProgramGraph | None = None,
    tasks: Sequence[Task] = (),
) -> CompiledProgram:
    """Loads a compiled program. Nothing is executed or imported that the caller has not named.

    Args:
        path: The JSON file that ``save`` wrote; or a version in a registry by the URL of the registry, ``#``, and its
            name and label or hash: ``s3://bucket/registry#desk@prod``.
        lm: Another model to run on, in any form that ``compile`` takes; scores were measured on the first.
        types: The user's own classes by name, in place of the rebuilt ones.
        functions: What Function nodes call, by name.
        module: The ``dspy.Module`` whose ``forward`` the program runs, where ``from_dspy`` made it. Classes in its
            predictors' signatures count as given in ``types``.
        program: The program in the user's code: what it declares must be what the artifact was compiled from, field by
            field. Its classes count as given in ``types`` and its functions in ``functions``. Other instructions,
            descriptions and settings of modules are only warned of: the artifact keeps its own.
        tasks: Tasks in the user's code, which are compared with those of the artifact in the same way.

    Raises:
        ArtifactError: if the file is not sound; ``ArtifactMismatchError`` if ``program``, ``tasks`` or ``types`` are
            not what it was compiled from, naming all that differs.
        ProgramError: if ``module`` is not like the one that the program was compiled from.
        RegistryError: if a registry cannot be read, or has no such version.
        LMConfigurationError: if ``lm`` names no model.
    """
    artifact = read_artifact(path)
    where = f"the artifact {str(path)!r}"
    known = {**({} if module is None else classes_of(module)), **(types or {})}
    compiled = _decoded(artifact, where, known, functions or {})
    graph = None if program is None else program_graph(program)
    if graph is not None or tasks:
        check_code(artifact, compiled.graph if graph is None else graph, tasks, where)
    if graph is not None:
        known, functions = {**classes_of_graph(graph), **known}, {**functions_of_graph(graph), **(functions or {})}
        compiled = _decoded(artifact, where, known, functions)
    if module is not None:
        bind_module(compiled.graph, module)
    if lm is not None:
        compiled = compiled.with_models(resolve_models(lm, list(artifact.lm)))
    changed = changed_models(artifact.lm, compiled.models)
    changed += changed_models(artifact.lm_as_written, {**compiled.models, **compiled.models_as_written})
    if changed:
        pairs = ", ".join(f"{then} → {now}" if then != now else f"another {now}" for then, now in changed)
        warnings.warn(
            f"running on another model than was compiled for ({pairs}); scores were measured on the first",
            stacklevel=2,
        )
    return compiled


def _decoded(
    artifact: Artifact, where: str, types: Mapping[str, type], functions: Mapping[str, Callable[..., Any]]
) -> CompiledProgram:
    try:
        with warnings.catch_warnings():
            # A field that hides one of pydantic's methods warned the user who wrote it; a reader can do nothing.
            warnings.simplefilter("ignore")
            return decode_program(artifact, types, functions)
    except ArtifactMismatchError as error:
        raise ArtifactMismatchError(
            f"{where}: {error.problem}",
            found=_shortened(error.found),
            fix=error.fix,
            differences=error.differences,
        ) from error
    except ArtifactError as error:
        told = {name: _shortened(getattr(error, name)) for name in ("expected", "found", "fix")}
        raise ArtifactError(f"{where}: {_shortened(error.problem)}", **told) from error
    except Exception as error:
        raise ArtifactError(
            f"{where} is not sound",
            expected="an artifact as fusionprog writes it",
            found=_shortened(repr(error)),
            fix="Save the program again with the fusionprog that wrote it",
        ) from error


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
