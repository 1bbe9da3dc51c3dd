"""What is likely to help a task, where the program that says so has no prompts that were proven."""

from __future__ import annotations

import math

from scipy.special import ndtr

from fusionprog.evaluation.worth import WORTH_OF_TOKEN, tokens_shown
from fusionprog.prompts.mixture import CAPS
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.render import TaskView
from fusionprog.search.sources import effects_at

_LIKELY = 0.6  # how probable it must be that an item is worth its tokens
_EVEN = 3.0  # a temperature at which all open items of a facet count about alike
_FEW = 0.25  # the share of all demonstrations that is shown where nothing is known of their number


def likely_schedule(program: CompiledProgram, view: TaskView) -> Schedule:
    """Returns the schedule that opens in a task what is probably worth its tokens there.

    Args:
        program: The program; what its tasks have in common says what is probable.
        view: The task at its place among them, with what is on offer in it.
    """
    at_node: dict[str, dict[str, float]] = {}
    costs: dict[str, float] = {}
    for node, effects in effects_at(program, view.embedding).items():
        for item, content in view.offered.get(node, {}).items():
            if item not in effects:
                continue
            cost, expected = WORTH_OF_TOKEN * tokens_shown(content), effects[item]
            spread = math.hypot(expected.se, expected.own)
            if spread > 0 and ndtr((expected.mean - cost) / spread) >= _LIKELY:
                at_node.setdefault(node, {})[item] = round(expected.mean, 5)
                costs[item] = max(costs.get(item, 0.0), round(cost, 5))
    nodes = {
        node: NodeSettings(_EVEN, {**dict.fromkeys(CAPS, 1.0), "demos": _share(program, node)}) for node in at_node
    }
    return Schedule(at_node=at_node, costs=costs, nodes=nodes)


def _share(program: CompiledProgram, node: str) -> float:
    """The share of all demonstrations that did best at a node."""
    learned = program.record.learned
    found = {} if learned is None else learned.settings.get(node, {}).get("demos", {})
    return float(max(found, key=lambda share: (found[share].mean, share))) if found else _FEW
