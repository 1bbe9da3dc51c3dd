"""What sources make a search expect before it has measured anything."""

from __future__ import annotations

from fusionprog.search.effects.columns import Column, Columns
from fusionprog.search.effects.prior import hypotheses_of
from fusionprog.search.sources import Expected, Source


def test_what_is_hardly_known_of_a_setting_is_hardly_expected() -> None:
    """Of a setting it is kept what was seen: a few lucky outcomes are not what the next search starts from."""
    columns = Columns({"n": ["a"]}, {"t": ()}, {"n": {"format": dict.fromkeys(("chat", "json", "xml"), 0.0)}})
    settings = {"n": {"format": {"json": Expected(0.3, 0.2), "xml": Expected(0.3, 0.02)}}}
    source = Source("s", 0.5, {}, settings, {})
    _, made = hypotheses_of([source], columns)
    json: Column = ("choice", "n", "format", "json")
    xml: Column = ("choice", "n", "format", "xml")
    assert made.means[json] < 0.1 < 0.25 < made.means[xml] < 0.3
    assert 0.05 < made.scales[json] < 0.1 and made.scales[xml] < 0.03
