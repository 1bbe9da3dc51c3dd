"""Older files are brought up to date by numbered steps; newer ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.artifacts import document, migrations
from fusionprog.artifacts.file import read_artifact
from fusionprog.artifacts.migrations import STEPS, check_version, migrate
from fusionprog.artifacts.schema import SCHEMA_VERSION
from fusionprog.errors import ArtifactError, ArtifactHashError, ArtifactVersionError
from fusionprog.runtime.lineage import Lineage, Parent


def renamed(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had ``nodes`` under another name."""
    return {**{key: value for key, value in data.items() if key != "steps"}, "nodes": data["steps"]}


def counted(data: dict[str, Any]) -> dict[str, Any]:
    """Version 3 counts them."""
    return {**data, "count": len(data["nodes"])}


def read_hash(path: Path) -> str:
    return str(json.loads(path.read_text(encoding="utf-8"))["hash"])


TWO = {1: renamed, 2: counted}


def test_steps_lead_from_one_version_to_the_next() -> None:
    old = {"schema_version": 1, "steps": ["a", "b"]}
    assert migrate(old, "the file", TWO, 3) == {"schema_version": 3, "nodes": ["a", "b"], "count": 2}
    assert migrate({"schema_version": 2, "nodes": []}, "the file", TWO, 3) == {
        "schema_version": 3,
        "nodes": [],
        "count": 0,
    }
    assert old == {"schema_version": 1, "steps": ["a", "b"]}


def test_the_newest_version_is_left_as_it_is() -> None:
    data = {"schema_version": 3, "steps": 1}
    assert migrate(data, "the file", TWO, 3) == data


def test_there_is_a_step_for_every_older_version() -> None:
    assert set(STEPS) == set(range(1, SCHEMA_VERSION))


def test_a_newer_version_is_refused_with_advice() -> None:
    for version in (4, 10**30):
        with pytest.raises(ArtifactVersionError, match=r"expected schema version 3 or older.*Update fusionprog"):
            migrate({"schema_version": version}, "the file", TWO, 3)
        with pytest.raises(ArtifactVersionError):
            check_version({"schema_version": version}, "the file", 3)


@pytest.mark.parametrize("version", [None, "1", 1.0, True, 0, -1, [], {}])
def test_what_is_no_version_is_refused(version: Any) -> None:
    with pytest.raises(ArtifactError, match="the file is no artifact: expected a schema_version"):
        migrate({"schema_version": version}, "the file", TWO, 3)


def test_a_version_that_nothing_leads_on_from_is_refused() -> None:
    with pytest.raises(ArtifactError, match="schema version 1, which nothing leads on from"):
        migrate({"schema_version": 1}, "the file", {2: counted}, 3)


@pytest.mark.parametrize("content", [{}, {"steps": None}, {"steps": 5}])
def test_a_file_that_a_step_cannot_read_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match="cannot be brought from schema version"):
        migrate({"schema_version": 1, **content}, "the file", TWO, 3)


def test_an_older_file_is_checked_migrated_and_loaded(
    data: dict[str, Any],
    write: Callable[[Path, dict[str, Any]], Path],
    tmp_path: Path,
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of a made-up earlier version, in which the part ``schedule`` was called ``plan``."""

    def step(old: dict[str, Any]) -> dict[str, Any]:
        made = {key: value for key, value in old.items() if key != "plan"}
        return {**made, "schedule": old["plan"], "schema_version": 1}

    def migrate_from_earlier(old: dict[str, Any], where: str) -> dict[str, Any]:
        moved = migrations.migrate({**old, "schema_version": old["schema_version"] + 1}, where, {1: step}, 2)
        return {**moved, "schema_version": 1}

    older = {("plan" if key == "schedule" else key): value for key, value in data.items()}
    older["schema_version"] = 0
    path = write(tmp_path / "older.json", older)
    with pytest.raises(ArtifactError, match="is no artifact"):
        fp.load(path)

    monkeypatch.setattr(document, "migrate", migrate_from_earlier)
    monkeypatch.setattr(document, "check_version", lambda data, where: data["schema_version"])
    newer = fp.load(path)
    older_hash = read_hash(path)
    assert newer.record.lineage == Lineage((Parent(older_hash, "Everything", "migrate", "schema version 0 to 1"),))
    newer.with_lineage(Lineage()).save(tmp_path / "newer.json")
    assert (tmp_path / "newer.json").read_bytes() == artifact.read_bytes()
    newer.save(tmp_path / "child.json")
    assert read_artifact(path).hash == newer.content_hash == read_hash(tmp_path / "child.json")

    path.write_text(path.read_text(encoding="utf-8").replace("Antworte", "Antwort"), encoding="utf-8")
    with pytest.raises(ArtifactHashError):
        fp.load(path)
