"""What a search learned, as ``fusionprog show`` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table

from fusionprog.runtime.break_even import BreakEven
from fusionprog.runtime.learned import Effect, Learned, Point
from fusionprog.search.display import short
from fusionprog.search.interference import Interference

if TYPE_CHECKING:
    import fusionprog as fp

_BEST, _WORST, _IMPORTANT, _FEW = 5, 3, 10, 3
_MOST_COLUMNS = 5  # tasks that have a column of their own
_BLOCKS = "▁▂▃▄▅▆▇█"
_BAR = 20
_USED = " ●"


def learned_parts(program: fp.CompiledProgram, node: str | None, full: bool) -> list[RenderableType]:
    """Returns what was learned, to print: effects, interference, importance, learning curve, break-even.

    Args:
        program: The program, or one task of it.
        node: The node that is shown; ``None`` for all of them.
        full: Whether all items are shown, or the best and the worst few.
    """
    learned = program.record.learned
    if learned is None:
        return []
    lines: list[RenderableType] = []
    nodes = dict.fromkeys(name for task in program.tasks for name in learned.effects.get(task, {}))
    for name in dict.fromkeys((*nodes, *learned.settings)):
        if node not in (None, name):
            continue
        if name in nodes:
            lines += _effects(program, learned, name, full)
        if full or name not in nodes:
            lines += _settings(learned, name)
    if nodes and len(program.tasks) > 1:
        places = [(name, item) for task in program.tasks for name in nodes for item in _used(program, task, name)]
        lines += _interference(program.interference(), frozenset(places), node, full)
    lines += _importance(_of_node(learned.importance, node, program.graph.nodes), full)
    lines += _curve(learned.curve)
    even = program.record.break_even
    lines += [] if even is None else break_even_lines(even)
    return lines


def effect_shown(program: fp.CompiledProgram, task: str, node: str, item: str, otherwise: float) -> float:
    """Returns an item's effect as the table of effects has it; ``otherwise`` where none was learned."""
    learned = program.record.learned
    known = {} if learned is None else learned.effects.get(task, {}).get(node, {})
    return known[item].mean if item in known else otherwise


def learned_data(program: fp.CompiledProgram, learned: Any, node: str | None) -> dict[str, Any]:
    """Returns what was learned as JSON data, with what follows from it; ``None`` for what there is not.

    Args:
        program: The program, or one task of it.
        learned: What the artifact says.
        node: The node that is shown; ``None`` for all of them.
    """
    even = program.record.break_even
    data: dict[str, Any] = {"learned": learned, "interference": None, "break_even": None}
    if even is not None:
        follows = ("calls_to_save", "calls_to_gain", "spent_per_hundredth", "per_right_answer")
        data["break_even"] = {**asdict(even), **{name: getattr(even, name) for name in follows}}
    if learned is not None:
        settings = {name: mine for name, mine in learned.get("settings", {}).items() if node in (None, name)}
        importance = _of_node(learned.get("importance", {}), node, program.graph.nodes)
        data["learned"] = learned = {**learned, "settings": settings, "importance": importance}
    if learned is not None and learned.get("effects"):
        table = program.interference()
        items = [asdict(each) for each in table.items if node in (None, each.node)]
        data["interference"] = {"cosine": table.cosine, "items": items}
        effects = {
            task: {name: mine for name, mine in nodes.items() if node in (None, name)}
            for task, nodes in learned["effects"].items()
        }
        data["learned"] = {**learned, "effects": effects}
    return data


def break_even_lines(even: BreakEven) -> list[str]:
    """Returns after how many calls the search has paid for itself, in sentences."""

    def amount(value: float) -> str:
        return f"${value:,.4g}" if even.unit == "usd" else f"{value:,.0f} tokens"

    change = f"costs {amount(abs(even.saved))} {'less' if even.saved > 0 else 'more'} than before"
    score = f"scores {_signed(even.gain)} ± {short(even.gain_se)}"
    lines = [f"break-even: the search took {even.spent_calls:,} calls, {amount(even.spent)}; a call {score}, {change}"]
    if even.calls_to_save is not None:
        lines.append(f"  after {even.calls_to_save:,} calls the search has paid for itself")
    if even.calls_to_gain is not None:
        line = (
            f"  after {even.calls_to_gain:,} calls there are as many additional right answers as the search took calls"
        )
        lines.append(line)
        if even.per_right_answer is not None:
            lines[-1] += f"; each costs {amount(even.per_right_answer)}"
    return lines


def _effects(program: fp.CompiledProgram, learned: Learned, node: str, full: bool) -> list[RenderableType]:
    """A table of items by tasks; where there are many tasks, the mean over them, and the best and the worst one."""
    tasks = [task for task in program.tasks if node in learned.effects.get(task, {})]
    used = {task: _used(program, task, node) for task in tasks}
    items: dict[str, dict[str, Effect]] = {}
    for task in tasks:
        for item, effect in learned.effects[task][node].items():
            items.setdefault(item, {})[task] = effect
    means = {item: sum(each.mean for each in mine.values()) / len(mine) for item, mine in items.items()}
    order = sorted(items, key=lambda item: (-means[item], item))
    left = max(0, len(order) - _BEST - _WORST)
    shown = order if full or not left else [*order[:_BEST], "", *order[-_WORST:]]
    what = "posterior of the effects model" if learned.method == "posterior" else "trials with against trials without"
    title = f"effects at {node} in units of score, ± half of the 95% interval ({what}; n outcomes; ● used)"
    table = Table()
    table.add_column("item")
    table.add_column("n", justify="right")
    wide = len(tasks) > _MOST_COLUMNS
    for column in ("mean over tasks", "best in", "worst in") if wide else tasks:
        table.add_column(column, justify="right")
    for item in shown:
        n = f"{sum(effect.n for effect in items[item].values()):,}" if item else ""
        if not item:
            table.add_row(f"… {left} more", style="dim")
        elif wide:
            best, *_, worst = sorted(items[item], key=lambda task: -items[item][task].mean) * 2
            marks = [_mark(item in used[task]) for task in (best, worst)]
            ends = [
                f"{task} {_effect(items[item][task])}{mark}" for task, mark in zip((best, worst), marks, strict=True)
            ]
            table.add_row(item, n, _signed(means[item]), *ends)
        else:
            cells = [
                _effect(items[item][task]) + _mark(item in used[task]) if task in items[item] else "" for task in tasks
            ]
            table.add_row(item, n, *cells)
    return [title, table]


def _settings(learned: Learned, node: str) -> list[RenderableType]:
    found = [
        f"{setting} {value} {_effect(effect)}"
        for setting, values in learned.settings.get(node, {}).items()
        for value, effect in values.items()
    ]
    return [f"settings at {node}: {', '.join(found)}"] if found else []


def _used(program: fp.CompiledProgram, task: str, node: str) -> set[str]:
    """The items that a node's prompt shows in a task."""
    facets = program.tasks[task].mixtures[node].facets.values()
    return {each.id for items in facets for each in items if each.amount}


def _interference(
    table: Interference, used: frozenset[tuple[str, str]], node: str | None, full: bool
) -> list[RenderableType]:
    """What items do, over tasks; marked are those of ``used``, (node, item), that some task's prompt shows."""
    items = [each for each in table.items if node in (None, each.node)]
    most = len(items) if full else _FEW
    pairs = [
        (value, one, other)
        for place, (one, row) in enumerate(table.cosine.items())
        for other, value in list(row.items())[place + 1 :]
        if value is not None
    ]
    pairs.sort(key=lambda pair: pair[0])
    shown = pairs if full or len(pairs) <= 2 * _FEW else [*pairs[:_FEW], *pairs[-_FEW:]]
    lines: list[RenderableType] = []
    if shown:
        cosines = ", ".join(f"{one}–{other} {short(value)}" for value, one, other in shown)
        lines.append(f"interference: cosine of the tasks' effects {cosines}")
    mixed = [each for each in items if each.helps and each.hurts]
    for each in mixed[:most]:
        name = f"{each.node}.{each.item}{_mark((each.node, each.item) in used).rstrip()}"
        lines.append(f"  {name} helps {_named(each.helps)} and hurts {_named(each.hurts)}")
    for title, found in (
        ("help several tasks", [each for each in items if each.kind == "shared"]),
        ("help one task", [each for each in items if each.kind == "private"]),
        ("hurt", [each for each in items if each.kind == "dropped" and each.hurts]),
        ("do nothing that can be told", [each for each in items if each.kind == "dropped" and not each.hurts]),
    ):
        if found:
            names = [f"{each.node}.{each.item}{_mark((each.node, each.item) in used).rstrip()}" for each in found]
            lines.append(f"  {len(found)} {title}: {_listed(names, most)}")
    return lines


def _of_node(importance: Mapping[str, float], node: str | None, nodes: Iterable[str]) -> dict[str, float]:
    """The parameters of a node; one of ``panel.judge`` is none of ``panel``."""
    others = tuple(f"{each}." for each in nodes if node is not None and each.startswith(f"{node}."))
    return {
        name: share
        for name, share in importance.items()
        if node is None or (name.startswith(f"{node}.") and not name.startswith(others))
    }


def _importance(importance: Mapping[str, float], full: bool) -> list[RenderableType]:
    shown = list(importance.items())[: None if full else _IMPORTANT]
    if not shown:
        return []
    width, most = max(len(name) for name, _ in shown), shown[0][1]
    lines = [f"  {name:{width}} {share:>4.0%} {'█' * round(_BAR * share / most)}".rstrip() for name, share in shown]
    return ["importance: shares of what makes prompts' scores differ", *lines]


def _curve(curve: Sequence[Point]) -> list[RenderableType]:
    scores = [value for point in curve for value in (point.score, point.expected) if value is not None]
    lines: list[RenderableType] = []
    for fold in dict.fromkeys(point.fold for point in curve):
        points = [point for point in curve if point.fold == fold]
        first, last = points[0], points[-1]
        line = f"learning curve: {_sparkline([point.score for point in points], scores)} {short(first.score)}"
        line += f" → {short(last.score)} in {last.trials} trials, {last.calls:,} calls"
        lines.append(line)
        expected = [point.expected for point in points if point.expected is not None]
        if expected:
            line = f"     expected:  {_sparkline(expected, scores)} {short(expected[0])} → {short(expected[-1])}"
            lines.append(f"{line} by the model of the best it knows")
    return lines


def _sparkline(values: Sequence[float], scale: Sequence[float]) -> str:
    low, high = min(scale), max(scale)
    steps = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round(steps * (value - low) / (high - low)) if high > low else 0] for value in values)


def _effect(effect: Effect) -> str:
    return f"{_signed(effect.mean)} ± {short(effect.half_width)}"


def _signed(value: float) -> str:
    text = short(value)
    return text if text.startswith("-") else f"+{text}"


def _mark(used: bool) -> str:
    return _USED if used else " " * len(_USED)


def _named(tasks: Sequence[str]) -> str:
    return _listed(tasks, _FEW)


def _listed(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
