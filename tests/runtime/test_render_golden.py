"""The prompts of one node, byte for byte, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

import fusionprog as fp
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.task import bind
from fusionprog.prompts.items import Content, DemoSet, Fragment, Item
from fusionprog.prompts.schedule import FORMATS, Format, NodeSettings, Schedule
from fusionprog.runtime.render import Renderer, TaskView

GOLDEN = Path(__file__).parent / "golden"


class Triage(fp.Signature):
    """Decide which team should handle a customer's message.

    Think of what the customer wants settled.
    """

    message: str = fp.InputField(desc="what the customer wrote")
    orders: int = fp.InputField()
    team: Literal["billing", "delivery"] = fp.OutputField(desc="one team")
    urgency: float = fp.OutputField(ge=0, le=1)


ITEMS: list[Item] = [
    Fragment("expert", "You are an experienced clerk.", facet="role"),
    Fragment("house-terms", facet="hint", texts={"retail": 'A "parcel" is an order.\nCOD: cash on delivery.'}),
    Fragment("kind", "Never blame the customer {ever}.", facet="constraint", pinned=True),
    Fragment("exact", "Give the team's name alone.", facet="constraint"),
    Fragment("shut", "This is never said.", facet="instruction"),
    DemoSet(
        "shots",
        [
            {"message": "Where is my <parcel>?", "orders": 2, "team": "delivery", "urgency": 0.5},
            {"message": "Charged twice", "team": "billing"},
        ],
        node="triage",
    ),
]
SCHEDULE = Schedule(
    everywhere={"expert": 0.5, "house-terms": 0.4, "exact": 0.3, "shots": 0.2},
    nodes={"triage": NodeSettings(1.0, {"role": 1.0, "hint": 1.0, "constraint": 1.0, "demos": 1.0})},
)


def prompt(form: Format) -> str:
    """The messages of one call as a text."""
    graph = ProgramGraph("desk")
    graph.add("triage", fp.modules.Predict(Triage))
    graph.connect("message", "triage.message")
    graph.connect("orders", "triage.orders")
    task = fp.Task("shop", domain="retail", metric=fp.metrics.exact_match("team"))
    offered: dict[str, Content] = {
        item.id: item.demos if isinstance(item, DemoSet) else item.text_in("retail")
        for item in ITEMS
        if isinstance(item, (DemoSet, Fragment))
    }
    view = TaskView("shop", "retail", bind(graph, task), (), {"triage": offered})
    schedule = Schedule(
        everywhere=SCHEDULE.everywhere,
        nodes={"triage": NodeSettings(1.0, SCHEDULE.nodes["triage"].gates, form)},
    )
    rendered = Renderer({item.id: item for item in ITEMS}).prompts(schedule, view)["triage"]
    messages = rendered.messages({"message": "My card was {charged} twice.\n", "orders": 1})
    return "".join(f"<<< {message['role']} >>>\n{message['content']}\n" for message in messages)


@pytest.mark.parametrize("form", FORMATS)
def test_the_prompt_is_the_golden_one(form: Format) -> None:
    assert prompt(form).encode() == (GOLDEN / f"triage.{form}.txt").read_bytes()


@pytest.mark.parametrize("form", FORMATS)
def test_the_golden_prompt_says_what_it_must_and_in_this_order(form: Format) -> None:
    text = (GOLDEN / f"triage.{form}.txt").read_text(encoding="utf-8")
    said = [
        "what the customer wrote",
        "You are an experienced clerk.",
        "Decide which team should handle a customer's message.",
        "Think of what the customer wants settled.",
        "What to know:",
        'A "parcel" is an order.',
        "Rules:",
        "Give the team's name alone.",
        "Never blame the customer {ever}.",
        "Charged twice",  # lacks fields: DSPy shows it first
        "Where is my <parcel>?",
        "My card was {charged} twice.",
    ]
    places = [text.index(each) for each in said]
    assert places == sorted(places)
    assert all(text.count(each) == 1 for each in said)
    assert "This is never said." not in text
