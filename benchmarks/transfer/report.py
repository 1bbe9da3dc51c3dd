"""Tables and a plot of what was measured."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _measure import table
from _plot import Line, Panel, plot_panels
from search.landscape import SHAPES
from search.report import mean_and_error, shown
from transfer.sides import COLD, COMPILED_CONTROLS, HOSTILE, WARM, WHOLE, WRITTEN, ZERO_SHOT

Lines = Sequence[Mapping[str, Any]]
Group = tuple[str, int]  # bench, calls of each source task
Place = tuple[str, int, str]  # unit, seed, task
Scores = Mapping[tuple[str, int], Mapping[Place, float]]  # side, calls → place → score


def read_lines(file: Path) -> Lines:
    """Reads the lines that ``run`` wrote."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def grouped(lines: Lines, measure: str = "score") -> dict[Group, Scores]:
    """Returns scores by benchmark and calls of the sources; what needs no sources is in all groups of its benchmark.

    A place's unit is what differences are independent over: a domain, with all its seeds; a landscape, with all its
    tasks; a seed, where there is a single domain.

    Args:
        lines: What was measured.
        measure: ``"score"``, or ``"share"`` of the way from base to optimum, which landscapes alone have.
    """
    lines = [line for line in lines if line.get(measure) is not None]
    budgets: dict[str, set[int]] = defaultdict(set)
    tasks: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        tasks[line["bench"]].add(line["task"])
        if line["source_calls"]:
            budgets[line["bench"]].add(line["source_calls"])
    found: dict[Group, dict[tuple[str, int], dict[Place, float]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        bench, seed, task = line["bench"], line["seed"], line["task"]
        by_seed = bench in SHAPES or len(tasks[bench]) == 1
        place = (str(seed) if by_seed else task, seed, task)
        for budget in [line["source_calls"]] if line["source_calls"] else budgets[bench]:
            found[bench, budget][line["side"], line["calls"]][place] = line[measure]
    return {group: dict(found[group]) for group in sorted(found)}


def by_unit(scores: Mapping[Place, float]) -> list[float]:
    """Returns the mean of every unit."""
    units: dict[str, list[float]] = defaultdict(list)
    for (unit, _, _), score in sorted(scores.items()):
        units[unit].append(score)
    return [statistics.mean(mine) for mine in units.values()]


def paired(one: Mapping[Place, float], other: Mapping[Place, float]) -> list[float]:
    """Returns the mean difference of every unit, over the places that both have."""
    return by_unit({place: score - other[place] for place, score in one.items() if place in other})


def tables(lines: Lines) -> list[str]:
    """Returns all tables for which something was measured."""
    groups, ways = grouped(lines), grouped(lines, "share")
    made = [
        gains(groups),
        controls(groups, "score"),
        controls(ways, "of the way from base to optimum"),
        starts(groups),
        needed(groups),
        hostile(groups),
    ]
    return [each for each in made if each.count("\n") > 1]


def gains(groups: Mapping[Group, Scores]) -> str:
    """Returns a table of zero-shot against the program as written.

    On a landscape the way from base to optimum is known, too.
    """
    rows = []
    for group, scores in groups.items():
        whole, written = scores.get((WHOLE, 0), {}), scores.get((WRITTEN, 0), {})
        if not whole:
            continue
        tasks = _by_task({place: whole[place] - written[place] for place in whole}, group)
        rows.append(
            [
                _named(group),
                shown(by_unit(written)),
                shown(by_unit(whole)),
                shown(paired(whole, written), signed=True),
                f"{sum(gain > 0 for gain in tasks.values())} of {len(tasks)}",
                f"{min(tasks.values()):+.3f}",
            ]
        )
    return table(["zero-shot", "as written", "adapted", "gain", "held-out tasks above", "worst"], rows)


def controls(groups: Mapping[Group, Scores], measure: str) -> str:
    """Returns a table of what is left of zero-shot without a part of it."""
    groups = {group: scores for group, scores in groups.items() if (WHOLE, 0) in scores}
    rows = []
    for side in (*ZERO_SHOT, *COMPILED_CONTROLS) if groups else ():
        row = [side]
        for scores in groups.values():
            mine, whole = scores.get((side, 0), {}), scores.get((WHOLE, 0), {})
            less = f" ({shown(paired(mine, whole), signed=True)})" if side != WHOLE and mine else ""
            row.append(f"{statistics.mean(by_unit(mine)):.3f}{less}" if mine else "")
        rows.append(row)
    return table([f"zero-shot, {measure} (less whole)", *(_named(group) for group in groups)], rows)


def starts(groups: Mapping[Group, Scores]) -> str:
    """Returns a table of warm against cold starts at each number of calls."""
    rows = []
    for group, scores in groups.items():
        for calls in _checkpoints(scores):
            warm, cold = scores[WARM, calls], scores[COLD, calls]
            differences = paired(warm, cold)
            tasks = _by_task({place: warm[place] - cold[place] for place in warm if place in cold}, group)
            rows.append(
                [
                    f"{_named(group)}: {calls}",
                    f"{statistics.mean(by_unit(warm)):.3f}",
                    f"{statistics.mean(by_unit(cold)):.3f}",
                    shown(differences, signed=True),
                    f"{sum(each >= 0 for each in tasks.values())} of {len(tasks)}",
                ]
            )
    return table(["calls in the held-out task", "warm", "cold", "warm less cold", "not behind"], rows)


def needed(groups: Mapping[Group, Scores]) -> str:
    """Returns a table of the calls with which a warm start is as good as the cold start with all of them.

    In each domain, and of the means over all of them; zero-shot counts as no calls. Numbers of calls count that were
    tried wherever the cold start was. A domain in which none does counts as twice all of them.
    """
    rows = []
    for group, scores in groups.items():
        checkpoints = _checkpoints(scores)
        if not checkpoints:
            continue
        most = checkpoints[-1]
        final = scores[COLD, most]
        tried = {calls: scores[WARM, calls] for calls in checkpoints}
        if (WHOLE, 0) in scores:
            tried = {0: scores[WHOLE, 0], **tried}
        warm = {
            calls: {place: mine[place] for place in final}
            for calls, mine in tried.items()
            if mine.keys() >= final.keys()
        }
        goals = _by_task(final, group)
        curves = {calls: _by_task(mine, group) for calls, mine in warm.items()}
        calls_of = {}
        for task, goal in goals.items():
            enough = [calls for calls, mine in curves.items() if mine[task] >= goal]
            calls_of[task] = min(enough, default=2 * most)
        mean_goal = statistics.mean(by_unit(final))
        enough = [calls for calls, mine in warm.items() if statistics.mean(by_unit(mine)) >= mean_goal]
        rows.append(
            [
                f"{_named(group)}: {most}",
                f"{mean_goal:.3f}",
                f"{min(enough)} ({min(enough) / most:.2f})" if enough else "not reached",
                f"{statistics.mean(calls_of.values()) / most:.2f}",
                f"{sum(calls <= most for calls in calls_of.values())} of {len(calls_of)}",
            ]
        )
    head = ["cold start's calls", "its score", "warm needs, of means", "share, mean over tasks", "reached"]
    return table(head, rows)


def hostile(groups: Mapping[Group, Scores]) -> str:
    """Returns a table of warm starts from sources that are no guide, against the cold start."""
    rows = []
    for group, scores in groups.items():
        for side in (each for each in HOSTILE if each != COLD):
            for calls in sorted(calls for name, calls in scores if name == side and (COLD, calls) in scores):
                warm, cold = scores[side, calls], scores[COLD, calls]
                cold = {place: cold[place] for place in warm if place in cold}
                rows.append(
                    [
                        f"{_named(group)}: {side.removeprefix(f'{WARM}, ')}, {calls}",
                        f"{statistics.mean(by_unit(warm)):.3f}",
                        f"{statistics.mean(by_unit(cold)):.3f}",
                        shown(paired(warm, cold), signed=True),
                    ]
                )
    return table(["sources, calls in the held-out task", "warm", "cold", "warm less cold"], rows)


def plot_starts(lines: Lines, file: str) -> None:
    """Draws scores over calls, a panel for each benchmark; zero-shot is drawn at one call."""
    panels = {}
    for group, scores in grouped(lines).items():
        drawn = {}
        for side in (WARM, COLD):
            points = {calls: by_unit(scores[side, calls]) for calls in _checkpoints(scores)}
            first = scores.get((WHOLE if side == WARM else WRITTEN, 0))
            if first:
                points = {1: by_unit(first), **points}
            pairs = [mean_and_error(values) for values in points.values()]
            drawn[side] = Line(list(points), [mean for mean, _ in pairs], [error for _, error in pairs])
        panels[_named(group)] = Panel("calls in the held-out task", drawn, logarithmic=True)
    plot_panels(panels, file, up="mean score")


def _checkpoints(scores: Scores) -> list[int]:
    return sorted(calls for side, calls in scores if side == WARM and (COLD, calls) in scores)


def _by_task(scores: Mapping[Place, float], group: Group) -> dict[str, float]:
    """Task → mean over seeds; on a landscape, which is another one for each seed, a task of each is one of its own."""
    found: dict[str, list[float]] = defaultdict(list)
    for (_, seed, task), score in sorted(scores.items()):
        found[f"{task} {seed}" if group[0] in SHAPES else task].append(score)
    return {task: statistics.mean(mine) for task, mine in found.items()}


def _named(group: Group) -> str:
    return f"{group[0]} ({group[1]})"
