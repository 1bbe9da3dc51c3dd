"""What a compile is made of: digests and versions, so that it is known again."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fusionprog._internal.canonical import digest
from fusionprog.artifacts.graph_codec import encode_graph, encode_signatures
from fusionprog.artifacts.program_codec import encode_program
from fusionprog.evaluation.metrics import ProgramMetric
from fusionprog.program.task import Task
from fusionprog.prompts.embedders import HashedNgrams
from fusionprog.prompts.pool import item_entry
from fusionprog.prompts.schedule import FORMATS
from fusionprog.search.preflight import Job

_PACKAGES = ("fusionprog", "dspy", "numpy", "optuna", "scikit-learn", "scipy")


def versions() -> dict[str, str]:
    """Returns package → version of all that results depend on."""
    return {package: importlib.metadata.version(package) for package in _PACKAGES}


def data_digests(task: Task) -> dict[str, str]:
    """Returns split → digest of its rows, for the splits that are there."""
    return {split: digest([row.id for row in rows]) for split, rows in task.rows.items() if rows}


def study_parts(job: Job, optimizer: Mapping[str, Any]) -> dict[str, str]:
    """Returns part of the compile, in words → digest; two compiles with equal parts are one study."""
    parts = {"the program": digest(encode_graph(job.graph))}
    for name, task in job.tasks.items():
        parts[f"task {name!r}"] = digest(
            {
                "domain": task.domain,
                "description": task.description,
                "private": task.private,
                "outputs": list(task.outputs),
                "metric": job.metrics[name].description,
                "judges": _judges(job, name),
                "signatures": encode_signatures(job.programs[name]),
            }
        )
        parts |= {f"the {split} data of task {name!r}": each for split, each in data_digests(task).items()}
    parts["the order of the tasks"] = digest(list(job.tasks))
    parts |= {f"item {item.id!r}": digest(item_entry(item)) for item in job.pool}
    parts["the order of the pool"] = digest([item.id for item in job.pool])
    parts |= {f"the model of node {node!r}": digest(model.identity) for node, model in job.models.items()}
    for node, models in job.offered.items():
        parts[f"the models on offer for node {node!r}"] = digest([model.identity for model in models.values()])
    parts["the seed"] = str(job.seed)
    parts["the budget and the trials"] = digest([asdict(job.plan), asdict(job.budget)])
    parts["the optimizer"] = digest([dict(optimizer), sorted(job.frozen)])
    if tuple(job.formats) != FORMATS:
        parts["the formats of prompts"] = digest(list(job.formats))
    if job.embedder.identity != HashedNgrams().identity:
        parts["the embedder"] = digest(job.embedder.identity)
    if job.start is not None:
        start = job.start
        known = [encode_program(each) for each in (start.program, start.incumbent) if each is not None]
        parts["the program that it starts from"] = digest([known, list(start.held), start.tolerance])
    parts["the versions of packages"] = digest(versions())
    return parts


def differences(parts: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """Returns the parts in which two compiles differ, in words."""
    return [name for name in {**parts, **others} if parts.get(name) != others.get(name)]


def _judges(job: Job, task: str) -> list[list[Any]]:
    """What a task's metric asks: its programs, or how often its functions ask, each with its models' identities."""
    return [
        [
            encode_graph(metric.graph) if isinstance(metric, ProgramMetric) else metric.calls,
            {name: model.identity for name, model in models.items()},
        ]
        for metric, models in job.bare_scorer(task).judges.items()
    ]
