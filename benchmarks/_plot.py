"""Lines with error bars, if matplotlib is installed; it is no dependency of the project."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line: at each place a mean and its standard error."""

    places: Sequence[float]
    means: Sequence[float]
    errors: Sequence[float]


def plot_lines(
    panels: Mapping[str, Mapping[str, Line]], file: str, *, across: str, up: str, logarithmic: bool = False
) -> None:
    """Draws a panel of lines for each name, side by side, and writes them to a file.

    Args:
        panels: Panel → line → its points.
        file: Where to; the ending says the format.
        across: What the horizontal axis shows.
        up: What the vertical one shows.
        logarithmic: Whether the horizontal axis is.
    """
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        print("no plot: matplotlib is not installed", file=sys.stderr)
        return
    figure, grid = pyplot.subplots(
        1, len(panels), figsize=(4.5 * len(panels), 3.5), squeeze=False, layout="constrained"
    )
    for axes, (title, lines) in zip(grid[0], panels.items(), strict=True):
        for name, line in lines.items():
            axes.errorbar(line.places, line.means, yerr=line.errors, marker="o", capsize=3, label=name)
        axes.set_title(title)
        axes.set_xlabel(across)
        if logarithmic:
            axes.set_xscale("log")
    grid[0][0].set_ylabel(up)
    grid[0][0].legend(fontsize="small")
    figure.savefig(file, dpi=120)
