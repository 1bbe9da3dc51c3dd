"""The program that is killed, cut off and interrupted here: two nodes and two tasks, small enough for a second.

It is compiled from this file by the command line, and by tests in process. ``DESK_URL`` says where its model is,
``DESK_LM`` what its LM is given beside, ``DESK_LOG`` where loggers write.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import dspy

import fusionprog as fp

TEAMS = {"shop": ("billing", "delivery", "returns"), "bank": ("cards", "fraud", "loans")}
URGENCIES = ("high", "low")
HELPFUL = "Look the case number up in the ledger."
HARMFUL = "Answer from the bottom of your heart."
KEY = "sk-desk-4f1b7c02a9d3"


class Triage(fp.Signature):
    """Decide which team should handle a message."""

    message: str = fp.InputField()
    team: str = fp.OutputField()


class Rush(fp.Signature):
    """Decide how urgent a message is for a team."""

    message: str = fp.InputField()
    team: str = fp.InputField()
    urgency: str = fp.OutputField()


class Desk(fp.Program):
    """Triage feeds rush, and the metric reads both."""

    def __init__(self) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(Triage)
        self.rush = fp.modules.Predict(Rush)

    def forward(self, message: str) -> Any:
        """Triage, then rush."""
        team = self.triage(message=message).team
        return {"team": team, "urgency": self.rush(message=message, team=team).urgency}


def both(example: Any, prediction: Any) -> float:
    """The share of the two outputs that are right."""
    return sum(bool(prediction[name] == example[name]) for name in ("team", "urgency")) / 2


def rows(task: str, split: str, count: int) -> list[dict[str, str]]:
    """Messages that say nothing but their number; teams and urgencies take turns."""
    return [
        {"message": f"Please see to case-{task}-{split}-{index}.", "team": TEAMS[task][index % 3]}
        | {"urgency": URGENCIES[index % 2]}
        for index in range(count)
    ]


def desk_task(name: str, *, test: int = 4) -> fp.Task:
    """A task with 12 rows of train and 40 of val, the least that is not cross-fitted."""
    return fp.Task(
        name,
        domain=name,
        description=f"Messages to a {name}.",
        labels={"triage.team": list(TEAMS[name]), "rush.urgency": list(URGENCIES)},
        train=rows(name, "train", 12),
        val=rows(name, "val", 40),
        test=rows(name, "test", test) or None,
        metric=fp.Metric(both, fields=["team", "urgency"], version="1"),
    )


program = Desk()
tasks = [desk_task("shop"), desk_task("bank")]
pool = fp.PromptPool(
    [
        fp.Fragment("ledger", HELPFUL, facet="hint"),
        fp.Fragment("heart", HARMFUL, facet="role"),
        fp.Fragment("plain", "Use plain words.", facet="instruction"),
        fp.builders.BootstrappedDemos(2),
    ]
)
budget = fp.Budget(calls=480)
if "DESK_LOG" in os.environ:
    logging.basicConfig(filename=os.environ["DESK_LOG"], level=logging.INFO)
    for name in ("fusionprog", "dspy", "sqlalchemy.pool", "optuna"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger("desk").info("every line that is logged goes here")
if "DESK_URL" in os.environ:
    lm = dspy.LM(
        "openai/desk-model",
        **{
            "api_base": os.environ["DESK_URL"],
            "api_key": KEY,
            "cache": False,
            **json.loads(os.environ.get("DESK_LM", "{}")),
        },
    )
