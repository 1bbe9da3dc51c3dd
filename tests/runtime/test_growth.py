"""The R matrix and what it says, on a table computed by hand."""

from __future__ import annotations

import pytest

from fusionprog.runtime.growth import Growth


def test_average_forgetting_and_transfer_of_a_known_table() -> None:
    rows = [(0.2, 0.2, 0.2), (0.9, 0.3, 0.2), (0.8, 0.9, 0.4), (0.6, 0.85, 0.9)]
    growth = Growth(
        ("as written", "a", "b", "c"), {"a": 1, "b": 2, "c": 3}, [dict(zip("abc", row, strict=True)) for row in rows]
    )
    assert growth.average == pytest.approx(0.7833, abs=1e-4)
    assert growth.backward == pytest.approx(-0.1375)
    assert growth.forward == pytest.approx(0.125)


def test_what_was_not_measured_does_not_count() -> None:
    growth = Growth(("as written", "before", "after"), {"a": 1, "b": 2}, [{"a": 0.2}, {"a": 0.5}, {"a": 0.6, "b": 0.7}])
    assert growth.average == pytest.approx(0.65)
    assert growth.backward == pytest.approx(0.1)
    assert growth.forward is None
