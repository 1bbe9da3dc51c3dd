"""Numbered steps that bring older artifacts up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fusionprog.artifacts.schema import SCHEMA_VERSION
from fusionprog.errors import ArtifactError, ArtifactVersionError

Step = Callable[[dict[str, Any]], dict[str, Any]]

# Version n → what makes version n + 1 of it. There is one version so far.
STEPS: Mapping[int, Step] = {}


def migrate(
    data: dict[str, Any], where: str, steps: Mapping[int, Step] = STEPS, newest: int = SCHEMA_VERSION
) -> dict[str, Any]:
    """Returns an artifact's data in the newest version.

    Raises:
        ArtifactVersionError: if it is newer than this package.
        ArtifactError: if it has no version, or one that nothing leads on from.
    """
    version = data.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ArtifactError(f"{where} is no artifact", expected="a schema_version", found=repr(version))
    if version > newest:
        raise ArtifactVersionError(
            f"{where} was written by a newer fusionprog",
            expected=f"schema version {newest} or older",
            found=str(version),
            fix="Update fusionprog (python -m pip install -U fusionprog), or compile again with this version",
        )
    while version < newest:
        if version not in steps:
            raise ArtifactError(f"{where} has schema version {version}, which nothing leads on from")
        data = {**steps[version](data), "schema_version": version + 1}
        version += 1
    return data
