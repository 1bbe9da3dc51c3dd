"""What a compile is made of: digests and versions, so that it is known again."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fusionprog._internal.canonical import digest
from fusionprog.artifacts.graph_codec import encode_graph, encode_signatures
from fusionprog.program.task import Task
from fusionprog.prompts.pool import item_entry
from fusionprog.search.preflight import Job

_PACKAGES = ("fusionprog", "dspy", "numpy", "optuna", "scikit-learn", "scipy")


def versions() -> dict[str, str]:
    """Returns package → version of all that results depend on."""
    return {package: importlib.metadata.version(package) for package in _PACKAGES}


def data_digests(task: Task) -> dict[str, str]:
    """Returns split → digest of its rows, for the splits that are there."""
    return {split: digest([row.id for row in rows]) for split, rows in task.rows.items() if rows}


def study_parts(job: Job, optimizer: Mapping[str, Any]) -> dict[str, str]:
    """Returns part of the compile → digest; two compiles with equal parts are one study."""
    return {
        "program": digest(encode_graph(job.graph)),
        "tasks": digest(
            [
                {
                    "name": name,
                    "domain": task.domain,
                    "description": task.description,
                    "private": task.private,
                    "outputs": list(task.outputs),
                    "metric": job.metrics[name].description,
                    "judges": _judges(job, name),
                    "signatures": encode_signatures(job.programs[name]),
                }
                for name, task in job.tasks.items()
            ]
        ),
        "data": digest([[name, data_digests(task)] for name, task in job.tasks.items()]),
        "pool": digest([item_entry(item) for item in job.pool]),
        "lm": digest({node: model.identity for node, model in job.models.items()}),
        "search": digest([dict(optimizer), sorted(job.frozen), job.seed, asdict(job.plan), asdict(job.budget)]),
        "versions": digest(versions()),
    }


def _judges(job: Job, task: str) -> list[list[Any]]:
    """The programs that a task's metric runs, each with its models' identities."""
    return [
        [encode_graph(metric.graph), {node: model.identity for node, model in models.items()}]
        for metric, models in job.bare_scorer(task).judges.items()
    ]
