"""The program that the measurements share, on both sides: three nodes that read a message of a help desk."""

from __future__ import annotations

from typing import Any, Literal, get_args

import dspy

import fusionprog as fp

Team = Literal["billing", "delivery", "technical", "sales"]
Action = Literal["answer", "refund", "escalate"]

VALUES: dict[str, tuple[str, ...]] = {
    "team": get_args(Team),
    "summary": ("asks about a payment", "waits for a parcel", "reports a fault"),
    "action": get_args(Action),
}


class Triage(fp.Signature):
    """Decide which team should handle a customer's message."""

    message: str = fp.InputField(desc="what the customer wrote")
    team: Team = fp.OutputField()


class Summarise(fp.Signature):
    """Say in a few words what the customer wants from the team."""

    message: str = fp.InputField(desc="what the customer wrote")
    team: str = fp.InputField()
    summary: str = fp.OutputField()


class Decide(fp.Signature):
    """Decide what to do next for the customer."""

    message: str = fp.InputField(desc="what the customer wrote")
    team: str = fp.InputField()
    summary: str = fp.InputField()
    action: Action = fp.OutputField()


SIGNATURES: dict[str, Any] = {"triage": Triage, "summarise": Summarise, "decide": Decide}


class Desk(fp.Program):
    """Three nodes in a row; each reads what the ones before it said."""

    def __init__(self) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(Triage)
        self.summarise = fp.modules.Predict(Summarise)
        self.decide = fp.modules.Predict(Decide)

    def forward(self, message: str) -> Any:
        """Returns what to do."""
        team = self.triage(message=message).team
        summary = self.summarise(message=message, team=team).summary
        return {"action": self.decide(message=message, team=team, summary=summary).action}


class DSPyDesk(dspy.Module):
    """The same with DSPy's own modules.

    Args:
        demos: Demonstrations for every node.
    """

    def __init__(self, demos: list[dict[str, str]] | None = None) -> None:
        super().__init__()
        self.triage = dspy.Predict(Triage)
        self.summarise = dspy.Predict(Summarise)
        self.decide = dspy.Predict(Decide)
        for node, predictor in self.named_predictors():
            predictor.demos = node_demos(node, demos or [])

    def forward(self, message: str) -> Any:
        """Returns what to do."""
        team = self.triage(message=message).team
        summary = self.summarise(message=message, team=team).summary
        return self.decide(message=message, team=team, summary=summary)


def right_value(field: str, case: int) -> str:
    """Returns what a field should be in the case of this number."""
    return VALUES[field][case % len(VALUES[field])]


def make_rows(count: int, first: int = 0) -> list[dict[str, str]]:
    """Returns messages with the right value of every node's output, numbered from ``first`` on."""
    return [
        {
            "message": f"This is about case {case}. I wrote to you some days ago and have heard nothing since. " * 2,
            **{field: right_value(field, case) for field in VALUES},
        }
        for case in range(first, first + count)
    ]


def examples(rows: list[dict[str, str]]) -> list[Any]:
    """Returns rows as DSPy has them."""
    return [dspy.Example(**row).with_inputs("message") for row in rows]


def correct(example: Any, prediction: Any, trace: Any = None) -> bool:
    """Both sides' metric: is the action the right one?"""
    return bool(prediction.action == example.action)


def node_demos(node: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Returns rows as demonstrations of a node."""
    fields = SIGNATURES[node].fields
    return [{key: value for key, value in row.items() if key in fields} for row in rows]
