"""Tables and plots of what was run."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _measure import table
from _plot import Line, Panel, plot_panels

OURS, MIPRO = "fusionprog", "MIPROv2"
Runs = Mapping[tuple[str, int, str], Mapping[int, Mapping[str, Any]]]  # bench, calls, side → seed → run


def read_runs(file: Path) -> Runs:
    """Reads the lines that ``run`` wrote; the last of equal ones counts."""
    runs: dict[tuple[str, int, str], dict[int, Mapping[str, Any]]] = defaultdict(dict)
    for line in file.read_text(encoding="utf-8").splitlines():
        each = json.loads(line)
        runs[each["bench"], each["calls"], each["side"]][each["seed"]] = each
    return runs


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Returns the mean and its standard error; the error is NaN for a single value."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return statistics.mean(values), error


def shown(values: Sequence[float], *, signed: bool = False) -> str:
    """Returns a mean with its standard error as text."""
    mean, error = mean_and_error(values)
    return f"{mean:+.3f} ± {error:.3f}" if signed else f"{mean:.3f} ± {error:.3f}"


def score_of(run: Mapping[str, Any], measure: str = "true") -> float:
    """Returns a run's mean over tasks: the true score on a landscape, else that on test."""
    return float(statistics.mean(run[measure].values()))


def scores(runs: Runs) -> str:
    """Returns a table of mean scores, with differences to fusionprog on the same seeds."""
    lines = []
    for (bench, calls, side), mine in sorted(runs.items()):
        ours = runs.get((bench, calls, OURS), {})
        paired = [score_of(mine[seed]) - score_of(ours[seed]) for seed in mine if seed in ours]
        lines.append(
            [
                f"{bench}, {calls}: {side}",
                shown([score_of(run) for run in mine.values()]),
                f"{statistics.mean(min(run['true'].values()) for run in mine.values()):.3f}",
                shown(paired, signed=True) if paired and side != OURS else "",
                f"{statistics.mean(run['asked'] for run in mine.values()):,.0f}",
                str(len(mine)),
            ]
        )
    return table(["bench, calls per task: side", "score", "worst task", "less fusionprog", "asked", "seeds"], lines)


def reached(runs: Runs) -> str:
    """Returns a table of the fewest calls with which fusionprog scores at least what MIPROv2 does."""
    lines = []
    for (bench, calls, side), mine in sorted(runs.items()):
        if side != MIPRO:
            continue
        goal = statistics.mean(score_of(run) for run in mine.values())
        means = {
            each[1]: statistics.mean(score_of(run) for run in others.values())
            for each, others in runs.items()
            if each[0] == bench and each[2] == OURS
        }
        enough = [budget for budget, mean in sorted(means.items()) if mean >= goal]
        found = f"{enough[0]} of {calls} ({enough[0] / calls:.2f})" if enough else "not reached"
        lines.append([bench, str(calls), f"{goal:.3f}", found, ", ".join(map(str, sorted(means)))])
    return table(["bench", "MIPROv2's calls per task", "its score", "fusionprog needs", "budgets tried"], lines)


def plot_scores(runs: Runs, file: str) -> None:
    """Draws scores over calls, a panel for each benchmark."""
    lines: dict[str, dict[str, Line]] = defaultdict(dict)
    for bench, side in sorted({(bench, side) for bench, _, side in runs}):
        points = {
            calls: mean_and_error([score_of(run) for run in runs[bench, calls, side].values()])
            for calls in sorted({each[1] for each in runs if each[0] == bench and each[2] == side})
        }
        lines[bench][side] = Line(
            list(points), [mean for mean, _ in points.values()], [error for _, error in points.values()]
        )
    panels = {bench: Panel("calls per task", mine, logarithmic=True) for bench, mine in lines.items()}
    plot_panels(panels, file, up="mean score")
