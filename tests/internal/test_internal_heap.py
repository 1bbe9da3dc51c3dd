"""The heap is settled for a while, and left as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fusionprog._internal.heap import settled_heap


@pytest.fixture(autouse=True)
def free() -> Iterator[None]:
    """A heap that nobody has frozen: a command that ended in this process has."""
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_is_there_is_frozen_inside_and_free_after() -> None:
    usual = gc.get_threshold()
    assert gc.get_freeze_count() == 0
    with settled_heap():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() > usual
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == usual


def test_an_error_leaves_it_free() -> None:
    with pytest.raises(KeyError), settled_heap():
        raise KeyError
    assert gc.get_freeze_count() == 0


def test_who_has_frozen_it_keeps_it_so() -> None:
    gc.freeze()
    try:
        with settled_heap():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
