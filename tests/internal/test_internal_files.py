"""Files are written whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from fusionprog._internal.files import write_atomically


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_new_file_holds_the_text_as_it_is(tmp_path: Path) -> None:
    write_atomically(tmp_path / "desk.json", "zwei\r\nZeilen ü\n")

    assert (tmp_path / "desk.json").read_bytes() == "zwei\r\nZeilen ü\n".encode()
    assert names_in(tmp_path) == ["desk.json"]


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "desk.json"
    path.write_text("a much longer text than the new one")

    write_atomically(path, "new")

    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["desk.json"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "desk.json"
    path.write_text("old")
    path.chmod(mode)

    write_atomically(path, "new")

    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_new_file_has_the_permissions_that_the_user_asks_for(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "desk.json", "text")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "desk.json").stat().st_mode) == mode


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "desk.json"
    path.write_text("old")

    def disk_full(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")

    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["desk.json"]


def test_an_interrupt_leaves_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "desk.json", "new")

    assert names_in(tmp_path) == []


def test_text_that_is_no_unicode_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "desk.json"
    path.write_text("old")

    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half a pair: \ud800")

    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["desk.json"]


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "desk.json").mkdir()

    with pytest.raises(OSError):
        write_atomically(tmp_path / "desk.json", "text")

    assert names_in(tmp_path) == ["desk.json"]
    assert names_in(tmp_path / "desk.json") == []


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "desk.json", "text")

    assert names_in(tmp_path) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "releases"
    real.mkdir()
    (real / "v1.json").write_text("old")
    (tmp_path / "desk.json").symlink_to(real / "v1.json")

    write_atomically(tmp_path / "desk.json", "new")

    assert (tmp_path / "desk.json").is_symlink()
    assert (real / "v1.json").read_text() == "new"
    assert names_in(tmp_path) == ["desk.json", "releases"]
    assert names_in(real) == ["v1.json"]


def test_a_name_without_a_folder_is_written_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    write_atomically(Path("desk.json"), "text")

    assert (tmp_path / "desk.json").read_text() == "text"


def test_a_pipe_is_written_and_stays_one(tmp_path: Path) -> None:
    """So does a device: /dev/null must not become a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text(encoding="utf-8")))
    reader.start()

    write_atomically(pipe, "some text")

    reader.join()
    assert heard == ["some text"]
    assert pipe.is_fifo() and names_in(tmp_path) == ["pipe"]


def test_a_database_is_replaced_by_no_other_file(tmp_path: Path) -> None:
    place = tmp_path / "desk.db"
    connection = sqlite3.connect(place)
    connection.execute("create table kept (answer)")
    connection.close()
    before = place.read_bytes()
    with pytest.raises(FileExistsError, match="it is a database"):
        write_atomically(place, "text")
    assert place.read_bytes() == before and list(tmp_path.iterdir()) == [place]
