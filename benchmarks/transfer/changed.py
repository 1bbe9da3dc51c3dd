"""Compiled programs with a part of what they know taken away or turned round: controls, not programs to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fusionprog.artifacts.pool_codec import RecordedFamily
from fusionprog.prompts.items import Family
from fusionprog.prompts.mixture import CAPS
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.learned import Effect, Learned, SharedEffect


def as_written(program: CompiledProgram) -> CompiledProgram:
    """The program with a schedule that shows nothing, and nothing known that would be likely to help."""
    return _following(_with(program, record=replace(program.record, learned=None)), Schedule())


def without_embedding(program: CompiledProgram) -> CompiledProgram:
    """The same schedule without what goes by kind of task: what items do everywhere alone (b alone)."""
    record, learned = program.record, program.record.learned
    if learned is not None and learned.shared is not None:
        effects = {
            node: {item: replace(each, along=(), along_se=()) for item, each in mine.items()}
            for node, mine in learned.shared.effects.items()
        }
        record = replace(record, learned=replace(learned, shared=replace(learned.shared, effects=effects)))
    return _with(program, schedule=replace(program.schedule, directions={}), record=record)


def uniform(program: CompiledProgram) -> CompiledProgram:
    """A schedule under which all items are open and weigh alike, in the format that the program has found."""
    found = program.schedule.nodes
    nodes = {
        node: NodeSettings(gates=dict.fromkeys(CAPS, 1.0), format=found.get(node, NodeSettings()).format)
        for node in program.models
    }
    return _following(program, Schedule(everywhere=dict.fromkeys(program.items, 1.0), nodes=nodes))


def without_families(program: CompiledProgram) -> CompiledProgram:
    """The program without the families, whose texts are made from a new task's data."""
    items = {key: item for key, item in program.items.items() if not isinstance(item, (Family, RecordedFamily))}
    return _with(program, items=items)


def turned_round(program: CompiledProgram) -> CompiledProgram:
    """A program that is sure of the opposite of all that it has learned."""
    record = program.record
    learned = None if record.learned is None else _turned(record.learned)
    old = program.schedule
    schedule = replace(
        old,
        everywhere=_negative(old.everywhere),
        at_node={node: _negative(mine) for node, mine in old.at_node.items()},
        directions={
            node: {item: tuple(-each for each in along) for item, along in mine.items()}
            for node, mine in old.directions.items()
        },
        in_task={task: {node: _negative(mine) for node, mine in nodes.items()} for task, nodes in old.in_task.items()},
        pairs={node: {item: _negative(others) for item, others in mine.items()} for node, mine in old.pairs.items()},
    )
    return _with(program, schedule=schedule, record=replace(record, learned=learned))


def _turned(learned: Learned) -> Learned:
    shared = learned.shared
    if shared is not None:
        effects = {
            node: {item: _turned_shared(each) for item, each in mine.items()} for node, mine in shared.effects.items()
        }
        shared = replace(shared, effects=effects)
    return replace(
        learned,
        shared=shared,
        effects={task: _turned_effects(nodes) for task, nodes in learned.effects.items()},
        settings={node: _turned_effects(settings) for node, settings in learned.settings.items()},
    )


def _turned_shared(effect: SharedEffect) -> SharedEffect:
    return replace(effect, mean=-effect.mean, along=tuple(-each for each in effect.along))


def _turned_effects(effects: Mapping[str, Mapping[str, Effect]]) -> dict[str, dict[str, Effect]]:
    return {
        place: {name: replace(each, mean=-each.mean) for name, each in mine.items()} for place, mine in effects.items()
    }


def _negative(values: Mapping[str, float]) -> dict[str, float]:
    return {key: -value for key, value in values.items()}


def _following(program: CompiledProgram, schedule: Schedule) -> CompiledProgram:
    """The program with another schedule, which new tasks follow even where nothing was proven."""
    return _with(program, schedule=schedule, record=replace(program.record, improved=True))


def _with(program: CompiledProgram, **different: Any) -> CompiledProgram:
    parts: dict[str, Any] = {
        "graph": program.graph,
        "items": program.items,
        "schedule": program.schedule,
        "tasks": program.tasks,
        "embedder": program.embedder,
        "basis": program.basis,
        "record": program.record,
        "models": program.models,
        "models_as_written": program.models_as_written,
    }
    return CompiledProgram(**{**parts, **different})
