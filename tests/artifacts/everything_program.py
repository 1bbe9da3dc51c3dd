"""A program with all that an artifact must hold. It is copied, compiled and deleted, and must still load."""

import datetime
import decimal
import enum
from typing import Any, Literal

import pydantic

import fusionprog as fp
from fusionprog.prompts.items import BuildContext, Facet, Family, register_family


class Urgency(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Line(pydantic.BaseModel):
    """One line
    of an invoice."""

    sku: str = pydantic.Field(description="what\nis sold")
    amount: int = pydantic.Field(default=1, ge=0)


class Invoice(pydantic.BaseModel):
    lines: list[Line] = []
    due: datetime.date | None = None
    total: decimal.Decimal = decimal.Decimal("0.10")


class Triage(fp.Signature):
    """Decide which team should handle it.

    Take your time.\u2028Then decide.
      - indented,   with trailing spaces\x20\x20
    \U0001f600 \x7f \x0c ${team} {message} % \\ "quoted" \u202eback
    """

    message: str = fp.InputField(desc="what the customer wrote,\r\n  in their words\u2029 ")
    since: datetime.date | None = fp.InputField(desc="${price} per day", default=datetime.date(2026, 1, 2))
    limit: decimal.Decimal = fp.InputField(ge=0, default=decimal.Decimal("9.90"))
    urgency: Urgency = fp.InputField(default=Urgency.LOW)
    rest: Any = fp.InputField()
    team: str = fp.OutputField(desc="")
    tags: list[Literal["new", "old"]] = fp.OutputField()
    score: int = fp.OutputField(ge=0, le=5, default=1)


class Judge(fp.Signature):
    """"""

    team: str = fp.InputField()
    invoice: Invoice = fp.InputField()
    words: list[str] = fp.InputField(default_factory=list)
    verdict: Urgency = fp.OutputField(desc="how bad it is")
    when: datetime.date | None = fp.OutputField()


class GermanJudge(fp.Signature):
    """Wie schlimm ist es?
    Antworte kurz."""

    invoice: Invoice = fp.InputField(desc="Rechnung")
    team: str = fp.InputField()
    words: list[str] = fp.InputField()
    when: datetime.date | None = fp.OutputField()
    verdict: Urgency = fp.OutputField(desc="Dringlichkeit")


class Panel(fp.Program):
    """One module that two nodes share."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = fp.modules.ChainOfThought(Judge)

    def forward(self, team: str, invoice: Invoice) -> Any:
        first = self.judge(team=team, invoice=invoice, words=["a", "b"])
        later = Invoice(due=datetime.date(2026, 3, 4))
        second = self.judge(team=first.reasoning, invoice=later, words=[])
        return {"first": first.verdict, "second": second.when}


def search(query: str, depth: int = 2) -> list[str]:
    return [query] * depth


class Everything(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(Triage)
        self.panel = Panel()
        self.find = fp.modules.Function(search, name="wiki", version="7", outputs={"found": list[str]})
        self.short = fp.modules.Predict("question, found: list[str] -> answer")

    def forward(  # type: ignore[no-untyped-def]
        self,
        message: str,
        untyped,
        when: datetime.datetime = datetime.datetime(2026, 1, 1, 12, 30),
        size: float = 1,
    ) -> Any:
        nested = {"a": [1, {"b": None}], "when": "x"}
        triage = self.triage(message=message, urgency=Urgency.HIGH, rest=nested)
        invoice = Invoice(lines=[Line(sku="x")], total=decimal.Decimal("1.50"))
        panel = self.panel(team=triage.team, invoice=invoice)
        found = self.find(query=message).found
        answer = self.short(question=message, found=found).answer
        return {
            "team": triage.team,
            "tags": triage.tags,
            "verdict": panel.first,
            "when": panel.second,
            "answer": answer,
            "untyped": untyped,
        }


@register_family("everything-rows")
class RowCount(Family):
    """A family of the user's own, with an argument that is called as one of the file's own keys."""

    facet: Facet = "hint"

    def __init__(self, facet_: str = "x", **more: Any) -> None:
        self.facet_ = facet_
        super().__init__(**more)

    def arguments(self) -> dict[str, Any]:
        return {"facet": self.facet_}

    def build(self, context: BuildContext) -> str:
        return f"There are {len(context.rows)} rows\r\nin {context.task}.\x0b\x1c\x85 \u2028end"


_MESSAGES = ["the parcel {} \U0001f4e6 is late\u2028", "the invoice {} is wrong\r\n"]
_ROWS = [
    {
        "message": _MESSAGES[index % 2].format(index),
        "team": ["delivery", "billing"][index % 2],
        "tags": ["new"],
        "untyped": {"depth": [index]},
    }
    for index in range(24)
]


def program() -> fp.Program:
    return Everything()


def tasks() -> list[fp.Task]:
    return [
        fp.Task(
            "shop",
            domain="retail",
            description="Messages\nto a shop\u2028.",
            labels={"triage.team": ["delivery", "billing", 'it\'s "x"\n']},
            metric=fp.metrics.exact_match("team"),
            train=_ROWS[:8],
            val=_ROWS[8:],
        ),
        fp.Task(
            "bank-2.ö",
            domain="bänke",
            labels={"triage.team": ["billing", "delivery"]},
            signatures={"panel.judge": GermanJudge},
            outputs=["tags", "team"],
            metric=fp.metrics.weighted([(fp.metrics.exact_match("team"), 2), (fp.metrics.set_f1("tags"), 1)]),
            train=_ROWS[:8],
            val=_ROWS[8:],
        ),
    ]


def pool() -> fp.PromptPool:
    mine = {
        "message": "hello\r\n\u2028 \x00",
        "since": datetime.date(2025, 1, 1),
        "limit": decimal.Decimal("3.0"),
        "urgency": Urgency.HIGH,
        "rest": {"z": 1, "a": [datetime.datetime(2026, 5, 4, 3, 2, 1)]},
        "team": "delivery",
        "tags": ["old", "new"],
        "score": 3,
    }
    theirs = {"team": "x", "invoice": Invoice(lines=[Line(sku="q")]), "words": ["u"], "verdict": Urgency.LOW}
    return fp.PromptPool(
        [
            fp.Fragment("role", "You are\r\nsomebody.\u2028 Yes.\x00 \x1b[31m", facet="role", pinned=True),
            fp.Fragment(
                "by-domain", facet="hint", texts={"retail": "a  \n\n b\x85c", "bänke": "\u202eabc\ttab"}, pinned=True
            ),
            fp.Fragment("rule", "Be \U0001f600\n  brief", facet="constraint", nodes=["panel.judge"], requires=["role"]),
            fp.Fragment("rule2", "Be long", facet="constraint", conflicts=["rule"]),
            fp.DemoSet("mine", node="triage", domains=["retail"], demos=[mine], pinned=True),
            fp.DemoSet("theirs", node="panel.judge", demos=[theirs], pinned=True),
            fp.builders.LabelGlossary(words=3),
            fp.builders.BalancedDemos(per_label=1),
            RowCount(pinned=True),
            RowCount("other", id="rows-2", nodes=["short"]),
        ]
    )
