"""``fusionprog push``, ``pull``, ``label``, ``registry``, ``merge`` and ``migrate``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.artifacts import document, migrations
from fusionprog.artifacts.text import content_hash, to_text
from fusionprog.runtime.lineage import Lineage

Command = Callable[..., Any]


@pytest.fixture
def registry(command: Command, desk: Path, tmp_path: Path) -> Path:
    """A registry with two versions of ``desk``: ``prod`` was on the first one and is on the second."""
    program = fp.load(desk / "desk.json")
    program.with_lineage(Lineage.of("adapt", [(program, "task hotel")])).save(tmp_path / "child.json")
    assert command("push", desk / "desk.json", tmp_path / "registry", "--label", "prod").code == 0
    ran = command("push", tmp_path / "child.json", tmp_path / "registry", "--name", "desk", "--label", "prod", "--json")
    assert (ran.data["number"], ran.data["labels"]) == (2, ["prod"])
    return tmp_path / "registry"


def test_push_pull_and_label(command: Command, desk: Path, registry: Path, tmp_path: Path) -> None:
    first = json.loads((desk / "desk.json").read_text(encoding="utf-8"))["hash"]
    ran = command("label", registry, "desk", "stable", first[:10])
    assert (ran.code, ran.out) == (0, f"stable is on desk@{first[:12]} (version 1) [stable]\n")
    ran = command("pull", registry, "desk@stable", "-o", tmp_path / "out.json")
    assert ran.out == f"wrote {tmp_path / 'out.json'} from desk@{first[:12]} (version 1) [stable]\n"
    assert (tmp_path / "out.json").read_bytes() == (desk / "desk.json").read_bytes()
    assert command("pull", registry, "desk", "-o", tmp_path / "out.json", "--json").data["number"] == 2
    shown = command("show", tmp_path / "out.json").out
    assert f"made by adapt from Desk {first[:12]} (task hotel)" in shown
    assert command("show", f"file://{registry}#desk@prod").out == shown


def test_the_listing(command: Command, registry: Path) -> None:
    data = command("registry", registry, "desk", "--json").data
    first, second = data["versions"]
    assert data["labels"] == {"prod": [first["hash"], second["hash"]]}
    assert second["parents"] == [{"hash": first["hash"], "program": "Desk", "kind": "adapt", "change": "task hotel"}]
    assert set(first["scores"]) == {"shop", "bank"}
    assert command("registry", registry, "--json").data == {"desk": {"versions": 2, "labels": {"prod": second["hash"]}}}
    assert command("registry", registry).out == f"desk  2 versions  prod {second['hash'][:12]}\n"
    shown = command("registry", registry, "desk").out
    assert f"prod: {first['hash'][:12]} → {second['hash'][:12]}" in shown
    assert f"adapt {first['hash'][:12]}" in shown
    assert command("registry", registry.parent / "none").out == "no programs\n"


def test_errors_are_one_line_with_the_remedy(command: Command, registry: Path, tmp_path: Path) -> None:
    ran = command("pull", registry, "desk@../../etc", "-o", tmp_path / "x.json")
    assert ran.code == 3 and "is no name of a label in a registry" in ran.err
    ran = command("pull", registry, "desks", "-o", tmp_path / "x.json")
    assert ran.code == 3 and "Did you mean 'desk'?" in ran.err
    assert not (tmp_path / "x.json").exists()
    for path in (registry / "artifacts").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    ran = command("registry", registry, "desk")
    assert ran.code == 0 and "damaged" in ran.out


def test_merge_finds_the_base_in_a_file_or_a_registry(
    command: Command, desk: Path, registry: Path, tmp_path: Path
) -> None:
    files = (tmp_path / "child.json", desk / "desk.json")
    ran = command("merge", *files, "--base", desk / "desk.json", "-o", tmp_path / "merged.json")
    assert ran.code == 0
    assert ran.out.splitlines() == ["node 'triage': nobody changed it", f"wrote {tmp_path / 'merged.json'}"]
    ran = command("merge", *files, "--registry", registry, "-o", tmp_path / "again.json", "--json")
    assert ran.data["notes"] == ["node 'triage': nobody changed it"]
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "merged.json").read_bytes()
    assert "made by merge from Desk" in command("show", tmp_path / "again.json").out
    assert command("merge", *files, "-o", tmp_path / "x.json").code == 2
    assert not (tmp_path / "x.json").exists()


@pytest.fixture
def older(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An artifact of a made-up version 0, in which the part ``schedule`` was called ``plan``."""

    def step(old: dict[str, Any]) -> dict[str, Any]:
        return {("schedule" if key == "plan" else key): value for key, value in old.items()}

    def check_version(data: Mapping[str, Any], where: str) -> int:
        return migrations.check_version(data, where) if data["schema_version"] else 0

    def migrate(data: dict[str, Any], where: str) -> dict[str, Any]:
        if data["schema_version"]:
            return migrations.migrate(data, where)
        made = migrations.migrate({**data, "schema_version": 1}, where, {1: step}, 2)
        return {**made, "schema_version": 1}

    monkeypatch.setattr(document, "check_version", check_version)
    monkeypatch.setattr(document, "migrate", migrate)
    data = json.loads((desk / "desk.json").read_text(encoding="utf-8"))
    data = {("plan" if key == "schedule" else key): value for key, value in {**data, "schema_version": 0}.items()}
    path = tmp_path / "older.json"
    path.write_text(to_text({**data, "hash": content_hash(data)}), encoding="utf-8")
    return path


def test_what_is_new_enough_is_left_alone(command: Command, desk: Path, tmp_path: Path) -> None:
    path = tmp_path / "desk.json"
    path.write_bytes((desk / "desk.json").read_bytes())
    before = path.stat()
    ran = command("migrate", path, "--in-place")
    assert (ran.code, ran.out) == (0, f"{path} is up to date (schema version 1)\n")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    ran = command("migrate", path, "-o", tmp_path / "new.json", "--json")
    assert ran.data == [{"artifact": str(path), "version": 1, "newest": 1, "written": None}]


def test_an_older_artifact_is_brought_up_to_date(command: Command, desk: Path, older: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.json"
    assert command("migrate", older).out == f"{older} has schema version 0 of 1; write it with -o or --in-place\n"
    assert not new.exists()
    before = older.read_bytes()
    assert command("migrate", older, "-o", new).out == f"{older} has schema version 0 of 1; wrote {new}\n"
    assert older.read_bytes() == before
    fp.load(older).save(tmp_path / "saved.json")
    assert new.read_bytes() == (tmp_path / "saved.json").read_bytes()
    ran = command("migrate", older, desk / "desk.json", "--in-place", "--json")
    assert [each["written"] for each in ran.data] == [str(older), None]
    assert older.read_bytes() == new.read_bytes()
    (parent,) = fp.load(older).record.lineage.parents
    assert (parent.kind, parent.hash) == ("migrate", json.loads(before)["hash"])
    assert command("migrate", older).out == f"{older} is up to date (schema version 1)\n"


def test_one_that_is_not_sound_stops_all(command: Command, older: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text(older.read_text(encoding="utf-8")[:-50], encoding="utf-8")
    before = older.read_bytes()
    ran = command("migrate", older, tmp_path / "broken.json", "--in-place")
    assert ran.code == 3 and "is no complete JSON file" in ran.err
    assert older.read_bytes() == before
    assert command("migrate", older, older, "-o", tmp_path / "x.json").code == 2
