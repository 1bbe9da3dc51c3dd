"""Lines with error bars, if matplotlib is installed; it is no dependency of the project."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line: at each place a mean and its standard error.

    Attributes:
        places: Numbers, or names that are shown in this order.
        means: The means.
        errors: Their standard errors.
    """

    places: Sequence[float] | Sequence[str]
    means: Sequence[float]
    errors: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """Lines that are drawn together.

    Attributes:
        across: What the horizontal axis shows.
        lines: Name → line.
        logarithmic: Whether the horizontal axis is.
    """

    across: str
    lines: Mapping[str, Line]
    logarithmic: bool = False


def plot_panels(panels: Mapping[str, Panel], file: str, *, up: str) -> None:
    """Draws panels side by side and writes them to a file; says so where matplotlib is not installed.

    Args:
        panels: Title → panel.
        file: Where to; the ending says the format.
        up: What the vertical axes show.
    """
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        print("no plot: matplotlib is not installed", file=sys.stderr)
        return
    figure, grid = pyplot.subplots(
        1, len(panels), figsize=(4.5 * len(panels), 3.5), squeeze=False, layout="constrained"
    )
    names = dict.fromkeys(name for panel in panels.values() for name in panel.lines)
    colours = {name: f"C{number}" for number, name in enumerate(names)}
    shown = {}
    for axes, (title, panel) in zip(grid[0], panels.items(), strict=True):
        for name, line in panel.lines.items():
            named = any(isinstance(place, str) for place in line.places)
            style = {"linestyle": "none"} if named else {}
            style["color"] = colours[name]
            shown[name] = axes.errorbar(line.places, line.means, yerr=line.errors, marker="o", capsize=3, **style)
            if named:
                axes.tick_params(axis="x", labelrotation=30)
                for label in axes.get_xticklabels():
                    label.set_horizontalalignment("right")
        axes.set_title(title)
        axes.set_xlabel(panel.across)
        if panel.logarithmic:
            places = sorted({place for line in panel.lines.values() for place in line.places})
            axes.set_xscale("log")
            axes.set_xticks(places, [f"{place:g}" for place in places])
            axes.set_xticks([], minor=True)
    grid[0][0].set_ylabel(up)
    if len(shown) > 1:
        figure.legend(shown.values(), shown.keys(), loc="outside right upper", fontsize="small")
    figure.savefig(file, dpi=120)
