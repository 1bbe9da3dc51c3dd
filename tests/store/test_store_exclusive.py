"""A lock of one name is held once, whichever process or thread wants it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fusionprog.errors import StoreError
from fusionprog.store.store import Store

WORKER = """
import sys
from pathlib import Path
from fusionprog.store.store import Store

counter = Path(sys.argv[2])
with Store(sys.argv[1]) as store:
    print("ready", flush=True)
    for _ in range(10):
        with store.exclusive("count"):
            number = int(counter.read_text())
            counter.write_text("x")
            counter.write_text(str(number + 1))
    if "die" in sys.argv:
        with store.exclusive("count"):
            print("held", flush=True)
            sys.stdin.read()
"""


def worker(place: str, counter: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, place, str(counter), *more]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_processes_take_turns(place: str, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    workers = [worker(place, counter) for _ in range(3)]
    for each in workers:
        each.communicate(timeout=60)
    assert [each.returncode for each in workers] == [0, 0, 0]
    assert counter.read_text() == "30"


def test_the_lock_of_a_killed_process_is_free(place: str, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    doomed = worker(place, counter, "die")
    assert doomed.stdout is not None
    assert [doomed.stdout.readline().strip() for _ in range(2)] == ["ready", "held"]
    with Store(place) as store:
        killer = threading.Timer(0.2, doomed.kill)
        killer.start()
        with store.exclusive("count"):
            assert doomed.wait(20) != 0
        killer.join()
    doomed.communicate()


def test_threads_take_turns_and_names_do_not_disturb_each_other(store: Store) -> None:
    inside, most, done = 0, 0, []

    def work() -> None:
        nonlocal inside, most
        for _ in range(10):
            with store.exclusive("a"), store.exclusive("b"):
                inside += 1
                most = max(most, inside)
                threading.Event().wait(0.001)
                inside -= 1
        done.append(True)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (most, len(done)) == (1, 3)


def test_the_lock_does_not_keep_the_store_from_writing(store: Store) -> None:
    with store.exclusive("a"):
        store.put_study("s", {"a": "b"})
        assert store.get_studies() == {"s": {"a": "b"}}


def test_an_error_inside_frees_the_lock_and_passes_on(store: Store) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), store.exclusive("a"):
            raise KeyError("mine")


def test_a_lock_file_that_cannot_be_made_is_an_error(path: Path) -> None:
    with Store(path) as store:
        with store.exclusive("a"):
            pass
        (lock,) = path.parent.glob("*.lock")
        lock.unlink()
        lock.mkdir()
        with pytest.raises(StoreError, match="cannot be opened"), store.exclusive("a"):
            pass
