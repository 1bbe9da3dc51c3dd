"""One thread for numerics, in as many blocks at once as there are."""

from __future__ import annotations

import numpy as np  # noqa: F401  (its BLAS is what is limited)
import pytest
from threadpoolctl import ThreadpoolController

from fusionprog._internal.numerics import one_thread


def threads() -> set[int]:
    return {each.num_threads for each in ThreadpoolController().lib_controllers if each.user_api == "blas"}


def test_a_block_that_ends_leaves_the_limit_to_those_that_still_run() -> None:
    before = threads()
    first, second = one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert threads() == {1}
    second.__exit__(None, None, None)
    assert threads() == before


def test_a_block_that_fails_puts_the_limit_back() -> None:
    before = threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        assert threads() == {1}
        _ = 1 / 0
    assert threads() == before
