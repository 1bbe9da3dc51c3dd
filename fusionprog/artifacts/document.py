"""An artifact and its text: strict JSON of a known version, with a hash that fits."""

from __future__ import annotations

import os
from typing import Any

from pydantic import ValidationError

from fusionprog.artifacts.lineage_codec import decode_lineage, lineage_spec
from fusionprog.artifacts.migrations import check_version, migrate
from fusionprog.artifacts.program_codec import encode_program, first_problem
from fusionprog.artifacts.schema import SCHEMA_VERSION, Artifact
from fusionprog.artifacts.text import MAX_BYTES, content_hash, from_text, to_text
from fusionprog.errors import ArtifactError, ArtifactHashError
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.lineage import Parent, joined

_LONGEST = 500


def artifact_text(program: CompiledProgram, where: str) -> str:
    """Returns the text of a program's artifact.

    Raises:
        ProgramError: if a type or a value of the program's graph cannot be kept in JSON.
        ArtifactError: if something else in it cannot.
    """
    data = encode_program(program)
    text = to_text({**data, "hash": content_hash(data, where)})
    from_text(text, where)  # what could not be read back is not written
    return text


def read_text(path: str | os.PathLike[str], where: str) -> str:
    """Returns the text of an artifact's file.

    Raises:
        ArtifactError: if it cannot be read, or is too large.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ArtifactError(f"{where} is too large", expected=f"at most {MAX_BYTES:,} bytes")
        return content.decode("utf-8")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{where} cannot be read", found=str(error)[:_LONGEST]) from error


def parse_artifact(text: str, where: str) -> Artifact:
    """Returns the artifact that a text is, in the newest version.

    Args:
        text: What is in the file.
        where: What it is called in messages.

    Raises:
        ArtifactError: naming what is wrong; ``ArtifactHashError`` if it was edited, ``ArtifactVersionError`` if it is
            newer than this package.
    """
    return artifact_of(checked_data(text, where), where)


def checked_data(text: str, where: str) -> dict[str, Any]:
    """Returns an artifact's data as it was written: strict JSON of a version that is known, with the hash that fits.

    Raises:
        ArtifactError: as ``parse_artifact``.
    """
    data = from_text(text, where)
    check_version(data, where)
    stored, actual = data.get("hash"), content_hash(data, where)
    if stored != actual:
        raise ArtifactHashError(
            f"{where} was changed after it was written",
            expected=f"hash {str(stored)[:80]}",
            found=actual,
            fix="Use the file as it was compiled; to change a prompt, change the pool and compile again",
        )
    return data


def artifact_of(data: dict[str, Any], where: str) -> Artifact:
    """Returns the artifact that checked data describe; one of an older version is the parent of what it becomes.

    Raises:
        ArtifactError: as ``parse_artifact``.
    """
    version = check_version(data, where)
    try:
        artifact = Artifact.model_validate(migrate(data, where))
    except ValidationError as error:
        raise ArtifactError(f"{where} is not sound", found=first_problem(error)[:_LONGEST]) from error
    return artifact if version == SCHEMA_VERSION else _child(artifact, str(data["hash"]), version)


def artifact_data(artifact: Artifact) -> dict[str, Any]:
    """Returns an artifact's data as ``save`` writes it."""
    return artifact.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _child(artifact: Artifact, parent: str, version: int) -> Artifact:
    change = f"schema version {version} to {SCHEMA_VERSION}"
    lineage = joined(
        [Parent(parent, artifact.program.name, "migrate", change)], [decode_lineage(artifact.lineage, parent)]
    )
    made = artifact.model_copy(update={"lineage": lineage_spec(lineage)})
    return made.model_copy(update={"hash": content_hash(artifact_data(made))})
