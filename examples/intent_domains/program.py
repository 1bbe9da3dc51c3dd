"""One intent classifier over any folder of domains.

``FUSIONPROG_DATA`` names a folder; every folder in it, at any depth, that has ``train.jsonl``, ``val.jsonl`` and
``test.jsonl`` with the columns ``text`` and ``intent`` is a domain:

    FUSIONPROG_DATA=data/clinc150 fusionprog compile examples/intent_domains/program.py -o intents.json

Every domain becomes a task with the intents of its training rows as its label set. A domain with fewer than two
intents is left out.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import fusionprog as fp


class FindIntent(fp.Signature):
    """Find the intent of what a user says."""

    text: str = fp.InputField(desc="what the user says")
    intent: str = fp.OutputField()


class IntentDomains(fp.Program):
    """One node for all domains."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = fp.modules.Predict(FindIntent)

    def forward(self, text: str) -> Any:
        """Classifies the text."""
        return self.classify(text=text).intent


def domain_task(folder: Path, name: str) -> fp.Task | None:
    """Returns the task of one domain's folder, or ``None`` if it cannot be one."""
    files = {split: folder / f"{split}.jsonl" for split in ("train", "val", "test")}
    if not all(file.is_file() and file.stat().st_size for file in files.values()):
        return None
    lines = files["train"].read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line.strip()]
    if not all(isinstance(row.get("text"), str) and isinstance(row.get("intent"), str) for row in rows):
        return None
    intents = sorted({row["intent"] for row in rows})
    if len(intents) < 2:
        return None
    return fp.Task(
        name,
        description=f"What users say about {folder.name.replace('_', ' ')}.",
        labels={"classify.intent": intents},
        train=files["train"],
        val=files["val"],
        test=files["test"],
        metric=fp.metrics.exact_match("intent"),
    )


def domain_tasks(root: Path) -> list[fp.Task]:
    """Returns the tasks of all domains in a folder and below it, named by their path."""
    folders = sorted(file.parent for file in root.rglob("train.jsonl"))
    names = [".".join(folder.relative_to(root).parts) or root.name for folder in folders]
    tasks = (domain_task(folder, name) for folder, name in zip(folders, names, strict=True))
    return [task for task in tasks if task is not None]


def data_folder() -> Path:
    """Returns the folder that ``FUSIONPROG_DATA`` names."""
    name = os.environ.get("FUSIONPROG_DATA", "")
    if not name or not Path(name).is_dir():
        raise fp.errors.DataError(
            "FUSIONPROG_DATA names no folder",
            expected="a folder of domains, each with train.jsonl, val.jsonl and test.jsonl",
            found=repr(name),
        )
    return Path(name)


program = IntentDomains()
tasks = domain_tasks(data_folder())
lm = "offline"
budget = fp.Budget(calls=1400 * max(1, len(tasks)))
