"""Saving and loading artifacts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fusionprog._internal.files import write_atomically
from fusionprog.artifacts.migrations import migrate
from fusionprog.artifacts.program_codec import decode_program, encode_program
from fusionprog.artifacts.schema import Artifact
from fusionprog.artifacts.text import MAX_BYTES, content_hash, from_text, to_text
from fusionprog.errors import ArtifactError, ArtifactHashError
from fusionprog.lm.model import LanguageModel
from fusionprog.lm.resolve import LMSpec, UnboundModel, model_from_identity, resolve_models
from fusionprog.runtime.compiled import CompiledProgram


def save_program(program: CompiledProgram, path: str | os.PathLike[str]) -> None:
    """Writes an artifact, whole or not at all.

    Raises:
        ProgramError: if a type cannot be kept in JSON.
        ArtifactError: if the file cannot be written.
    """
    data = encode_program(program)
    data["hash"] = content_hash(data)
    try:
        write_atomically(Path(path), to_text(data))
    except OSError as error:
        raise ArtifactError(f"{str(path)!r} cannot be written", found=str(error)) from error


def read_artifact(path: str | os.PathLike[str]) -> Artifact:
    """Reads and checks an artifact: JSON, version, hash, schema.

    Raises:
        ArtifactError: naming what is wrong; ``ArtifactHashError`` if it was edited, ``ArtifactVersionError`` if it is
            newer than this package.
    """
    where = f"the artifact {str(path)!r}"
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise ArtifactError(f"{where} is too large", expected=f"at most {MAX_BYTES:,} bytes")
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{where} cannot be read", found=str(error)) from error
    data = from_text(text, where)
    stored, actual = data.get("hash"), content_hash(data)
    migrated = migrate(data, where)
    if stored != actual:
        raise ArtifactHashError(
            f"{where} was changed after it was written",
            expected=f"hash {stored}",
            found=actual,
            fix="Use the file as it was compiled; to change a prompt, change the pool and compile again",
        )
    try:
        return Artifact.model_validate(migrated)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ArtifactError(f"{where} is not sound at {place}", found=f"{first['msg']} ({first['type']})") from error


def load(
    path: str | os.PathLike[str],
    *,
    lm: LMSpec = None,
    types: Mapping[str, type] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> CompiledProgram:
    """Loads a compiled program. Nothing is executed or imported that the caller has not named.

    Args:
        path: The JSON file that ``save`` wrote.
        lm: Another model to run on, in any form that ``compile`` takes; scores were measured on the first.
        types: The user's own classes by name, in place of the rebuilt ones.
        functions: What Function nodes call, by name.

    Raises:
        ArtifactError: if the file is not sound.
        LMConfigurationError: if ``lm`` names no model.
    """
    artifact = read_artifact(path)
    recorded: dict[str, LanguageModel] = {node: model_from_identity(identity) for node, identity in artifact.lm.items()}
    models = recorded if lm is None else resolve_models(lm, list(recorded))
    changed = sorted(
        {
            f"{recorded[node].name} → {model.name}"
            for node, model in models.items()
            if dict(model.identity) != dict(artifact.lm[node]) and not isinstance(recorded[node], UnboundModel)
        }
    )
    if changed:
        warnings.warn(
            f"running on another model than was compiled for ({', '.join(changed)}); scores were measured on the first",
            stacklevel=2,
        )
    return decode_program(artifact, models, types or {}, functions or {})
