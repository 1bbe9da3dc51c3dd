"""Numbered steps that bring older artifacts up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fusionprog.artifacts.schema import SCHEMA_VERSION
from fusionprog.errors import ArtifactError, ArtifactVersionError

Step = Callable[[dict[str, Any]], dict[str, Any]]

# Version n → what makes version n + 1 of it. There is one version so far.
STEPS: Mapping[int, Step] = {}


def check_version(data: Mapping[str, Any], where: str, newest: int = SCHEMA_VERSION) -> int:
    """Returns the version of an artifact's data.

    Raises:
        ArtifactVersionError: if it is newer than this package.
        ArtifactError: if it has none.
    """
    version = data.get("schema_version")
    if type(version) is not int or version < 1:
        raise ArtifactError(f"{where} is no artifact", expected="a schema_version", found=repr(version)[:80])
    if version > newest:
        raise ArtifactVersionError(
            f"{where} was written by a newer fusionprog",
            expected=f"schema version {newest} or older",
            found=repr(version)[:80],
            fix="Update fusionprog (python -m pip install -U fusionprog), or compile again with this version",
        )
    return version


def migrate(
    data: dict[str, Any], where: str, steps: Mapping[int, Step] = STEPS, newest: int = SCHEMA_VERSION
) -> dict[str, Any]:
    """Returns an artifact's data in the newest version.

    Raises:
        ArtifactVersionError: if it is newer than this package.
        ArtifactError: if it has no version, one that nothing leads on from, or is not what a step expects.
    """
    for version in range(check_version(data, where, newest), newest):
        if version not in steps:
            raise ArtifactError(
                f"{where} has schema version {version}, which nothing leads on from",
                fix="Compile it again with this version of fusionprog",
            )
        try:
            data = {**steps[version](data), "schema_version": version + 1}
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(
                f"{where} is not sound: it cannot be brought from schema version {version} to {version + 1}",
                found=repr(error)[:200],
                fix="Copy it again from where it was compiled",
            ) from error
    return data
