"""Puts a merged artifact together from two, as it was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionprog._internal.canonical import digest
from fusionprog.artifacts.document import artifact_data
from fusionprog.artifacts.lineage_codec import lineage_spec
from fusionprog.artifacts.merge_choice import SIDES, Taken
from fusionprog.artifacts.rounding import rounded
from fusionprog.artifacts.schedule_codec import schedule_spec
from fusionprog.artifacts.schema import Artifact
from fusionprog.artifacts.text import content_hash
from fusionprog.prompts.assembling import assembled, of_node, of_task, without_directions
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.lineage import Lineage

Data = dict[str, Any]
_BASIS = ("centre", "components", "scale")


def merged_artifact(
    sides: Sequence[CompiledProgram], artifacts: Sequence[Artifact], base: Artifact, taken: Taken
) -> Artifact:
    """Returns the artifact of a merge.

    Args:
        sides: The two programs.
        artifacts: Their artifacts.
        base: That of the program that both come from.
        taken: What is taken from which of them.
    """
    data = [artifact_data(each) for each in artifacts]
    better, worse = taken.better, 1 - taken.better
    schedules, notes = [each.schedule for each in sides], list(taken.why)
    one_basis = all(data[0]["embedding"][part] == data[1]["embedding"][part] for part in _BASIS)
    if not one_basis:
        places = {name: task.view.embedding for name, task in sides[worse].tasks.items()}
        schedules[worse] = without_directions(schedules[worse], places)
        if schedules[worse] != sides[worse].schedule:
            notes.append(
                f"what {SIDES[worse]} knows by kind of task holds in its own tasks alone: it was compiled among others"
            )
    notes += [
        f"task {task!r}: not measured as merged; the scores are those of {SIDES[better]}"
        for task in taken.tasks
        if len(taken.sides_of(task)) > 1
    ]
    schedule = _schedule(schedules, taken)
    merged = {
        **data[better],
        "lm": {node: data[taken.nodes[node]]["lm"][node] for node in data[better]["lm"]},
        "lm_as_written": _written(data, schedule, taken),
        "pool": _pool(data, artifact_data(base), better),
        "tasks": {task: _task(data, taken, task) for task in taken.tasks},
        "compile": _compile(sides, data, taken, notes),
        "mixtures": {
            task: {node: data[taken.side(node, task)]["mixtures"][task][node] for node in data[better]["lm"]}
            for task in taken.tasks
        },
        "schedule": schedule_spec(schedule, taken.tasks).model_dump(mode="json", exclude_defaults=True),
        "scores": {task: data[_measured_side(taken, task)]["scores"][task] for task in taken.tasks},
        "growth": None,  # what was measured stage by stage was measured of other programs
        "learned": _learned(data, taken, one_basis),
        "lineage": lineage_spec(_lineage(sides, taken)),
        "embedding": {**data[better]["embedding"], "tasks": _places(sides, taken)},
    }
    artifact = Artifact.model_validate(merged)
    return artifact.model_copy(update={"hash": content_hash(artifact_data(artifact))})


def _measured_side(taken: Taken, task: str) -> int:
    """The side whose scores of a task hold, or are the nearest."""
    sides = taken.sides_of(task)
    return sides.pop() if len(sides) == 1 else taken.better


def _schedule(schedules: Sequence[Schedule], taken: Taken) -> Schedule:
    return assembled(
        schedules[taken.better],
        {node: of_node(schedules[side], node) for node, side in taken.nodes.items()},
        {task: of_task(schedules[_measured_side(taken, task)], task) for task in taken.tasks},
        lambda node, task: schedules[taken.side(node, task)].of(node, task),
    )


def _written(data: Sequence[Data], schedule: Schedule, taken: Taken) -> Data:
    if not any(map(schedule.is_as_written, taken.tasks)):
        return {}
    found = {node: data[side].get("lm_as_written", {}).get(node) for node, side in taken.nodes.items()}
    return {node: model for node, model in found.items() if model is not None}


def _pool(data: Sequence[Data], base: Data, better: int) -> list[Data]:
    """All items; one that differs is that of the side that changed it, or of the better one."""
    one, other, before = ({item["id"]: item for item in each["pool"]} for each in (*data, base))
    made = []
    for name in dict.fromkeys([*one, *other]):
        both = [each[name] for each in (one, other) if name in each]
        changed = [each for each in both if each != before.get(name)]
        made.append((one, other)[better].get(name, both[0]) if len(changed) != 1 else changed[0])
    return made


def _task(data: Sequence[Data], taken: Taken, task: str) -> Data:
    made = dict(data[_measured_side(taken, task)]["tasks"][task])
    for part in ("texts", "demos"):
        found = {
            node: said[node]
            for node in data[taken.better]["lm"]
            if node in (said := data[taken.side(node, task)]["tasks"][task].get(part, {}))
        }
        made[part] = found
    return made


def _compile(sides: Sequence[CompiledProgram], data: Sequence[Data], taken: Taken, notes: Sequence[str]) -> Data:
    spent, phases = (_sums(each["compile"][part] for each in data) for part in ("spent", "phases"))
    return {
        "improved": any(each.record.improved for each in sides),
        "reason": "two programs were merged",
        "notes": list(notes),
        "optimizer": {"name": "merge"},
        "seed": data[taken.better]["compile"]["seed"],
        "trials": sum(each["compile"]["trials"] for each in data),
        "spent": rounded(spent),
        "phases": phases,
        "fingerprint": digest([each.content_hash for each in sides]),
        "versions": data[taken.better]["compile"]["versions"],
    }


def _sums(parts: Any) -> Data:
    made: Data = {}
    for part in parts:
        for name, value in part.items():
            made[name] = made.get(name, 0) + value
    return made


def _learned(data: Sequence[Data], taken: Taken, one_basis: bool) -> Data | None:
    """What the better side learned; of tasks that are taken from the other one, what that one learned of them."""
    first, second = data[taken.better].get("learned"), data[1 - taken.better].get("learned")
    if first is None:
        return None if second is None else {**second, **({} if one_basis else {"shared": None})}
    if second is None or second["method"] != first["method"]:
        return dict(first)
    others = {task: each for task, each in second.get("effects", {}).items() if task not in first.get("effects", {})}
    return {**first, "effects": {**first.get("effects", {}), **others}}


def _lineage(sides: Sequence[CompiledProgram], taken: Taken) -> Lineage:
    named = [
        f"nodes {', '.join(mine)}" if (mine := [node for node, on in taken.nodes.items() if on == side]) else "tasks"
        for side in range(2)
    ]
    return Lineage.of("merge", list(zip(sides, named, strict=True)))


def _places(sides: Sequence[CompiledProgram], taken: Taken) -> dict[str, list[float]]:
    """Task → its coordinates in the better side's basis; of a task that is not there, as the other basis shows it."""
    main, guest = sides[taken.better], sides[1 - taken.better]
    made: dict[str, list[float]] = {}
    for task in taken.tasks:
        if task in main.tasks:
            made[task] = list(main.tasks[task].view.embedding)
            continue
        place, seen = np.array(guest.tasks[task].view.embedding), guest.basis
        same = seen.size == main.basis.size and np.array_equal(seen.components, main.basis.components)
        vector = seen.centre + (place * seen.scale) @ seen.components
        made[task] = place.tolist() if same else list(main.basis.coordinates(vector))
    return made
