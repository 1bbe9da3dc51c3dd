"""A support desk for three domains: one node sorts a message to a team, the other answers it.

Each domain has teams of its own; the program, its two nodes and the pool of fragments are shared. Compile it with

    fusionprog compile examples/support_desk/program.py -o desk.json

It runs on the embedded offline reader, with no key and at no cost; ``--lm openai/gpt-4o-mini`` runs it on a model.
The messages are synthetic: they were written for this example.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fusionprog as fp

DATA = Path(__file__).parent / "data"

TEAMS = {
    "shop": ["account", "billing", "delivery", "product", "returns"],
    "bank": ["access", "cards", "fraud", "loans", "payments"],
    "telecom": ["contract", "device", "invoice", "network", "roaming"],
}
DOMAINS = {"shop": "retail", "bank": "banking", "telecom": "telecommunications"}

# What every new colleague gets on the first day; the search decides how much of it helps.
GUIDES = {
    "shop": """\
- account: log-in, password, e-mail address, newsletter, deleting data, loyalty points, two accounts
- billing: charged twice, invoice, voucher or discount code, refused payment, gift card, VAT, another price
- delivery: where a parcel is, late, lost or damaged on the way, wrong address, delivery slot, the courier
- product: sizes, materials, compatibility, stock, how to use it, warranty, missing manual
- returns: sending back, exchange, refund for what was sent back, return label, wrong or faulty item""",
    "bank": """\
- access: online banking and app log-in, codes, locked profile, new phone, change of number or address, statements
- cards: debit or credit card lost, not working, PIN, limit, contactless, new card, declined at the till
- fraud: payments the customer did not make, phishing, stolen details, suspicious calls, account taken over
- loans: mortgage, personal loan, overdraft, early repayment, interest on borrowing, application
- payments: transfer, standing order, direct debit, salary not arrived, wrong recipient, foreign transfer, fee""",
    "telecom": """\
- contract: cancel, extend, change the plan, move house, notice period, keep the number, add a family member
- device: phone or router broken, delivery of a handset, setup, SIM or eSIM, repair, trade-in, instalments
- invoice: bill too high, unknown item on the bill, due date, direct debit failed, credit note, premium number
- network: no signal, slow internet, outage, dropped calls, wifi at home, television stutters
- roaming: use abroad, travel pass, charges and limits abroad, calls to other countries, ships and planes""",
}


class Triage(fp.Signature):
    """Decide which team should handle a customer's message."""

    message: str = fp.InputField(desc="what the customer wrote")
    team: str = fp.OutputField(desc="the team that can settle it")


class Reply(fp.Signature):
    """Answer the customer in two sentences."""

    message: str = fp.InputField(desc="what the customer wrote")
    team: str = fp.InputField(desc="the team that will settle it")
    reply: str = fp.OutputField()


class SupportDesk(fp.Program):
    """Triage first, then an answer that knows the team."""

    def __init__(self) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(Triage)
        self.answer = fp.modules.ChainOfThought(Reply)

    def forward(self, message: str) -> Any:
        """Says how the two nodes feed each other."""
        team = self.triage(message=message).team
        reply = self.answer(message=message, team=team).reply
        return {"team": team, "reply": reply}


def desk_task(name: str) -> fp.Task:
    """Returns the task of one domain."""
    return fp.Task(
        name,
        domain=DOMAINS[name],
        description=f"Messages that customers send to a {name}.",
        labels={"triage.team": TEAMS[name]},
        train=DATA / name / "train.jsonl",
        val=DATA / name / "val.jsonl",
        test=DATA / name / "test.jsonl",
        metric=fp.metrics.exact_match("team"),
    )


program = SupportDesk()
tasks = [desk_task(name) for name in TEAMS]
pool = fp.PromptPool.patterns() | fp.PromptPool(
    [
        fp.Fragment("two-sentences", "Never write more than two sentences.", facet="constraint", nodes=["answer"]),
        fp.Fragment("team-guide", facet="hint", texts={DOMAINS[name]: guide for name, guide in GUIDES.items()}),
        fp.builders.LabelGlossary(words=8),
        fp.builders.LabelGlossary(words=20),
        fp.builders.BalancedDemos(per_label=1),
        fp.builders.BalancedDemos(per_label=3),
        fp.builders.ClusteredDemos(count=8),
    ]
)
lm = "offline"
budget = fp.Budget(calls=4000)
