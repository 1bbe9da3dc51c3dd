"""A desk whose model is scripted: how often it is right depends on what the prompt says, and on nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

import fusionprog as fp
from fusionprog._internal.canonical import seed_of
from fusionprog.errors import LMError
from fusionprog.lm.model import Completion, Messages

TEAMS = {"shop": ("billing", "delivery", "returns"), "bank": ("cards", "fraud", "loans")}
GOOD = "Look the case number up in the ledger."
_CASE = re.compile(r"case-(\w+?)-\w+-(\d+)")


class Triage(fp.Signature):
    """Decide which team should handle a message."""

    message: str = fp.InputField()
    team: str = fp.OutputField()


class Reply(fp.Signature):
    """Answer the message."""

    message: str = fp.InputField()
    team: str = fp.InputField()
    reply: str = fp.OutputField()


class Desk(fp.Program):
    """Triage feeds answer; a metric of ``team`` reads the first node alone."""

    def __init__(self) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(Triage)
        self.answer = fp.modules.Predict(Reply)

    def forward(self, message: str) -> Any:
        """Triage, then answer."""
        team = self.triage(message=message).team
        return {"team": team, "reply": self.answer(message=message, team=team).reply}


def rows(task: str, split: str, count: int) -> list[dict[str, str]]:
    """Messages that say nothing but their number; the teams take turns."""
    return [
        {"message": f"Please see to case-{task}-{split}-{index}.", "team": TEAMS[task][index % 3], "reply": "Thanks."}
        for index in range(count)
    ]


def desk_task(name: str = "shop", *, val: Any = 48, test: int = 12, train: int = 12, **more: Any) -> fp.Task:
    """A task with as many rows as are asked for (val: or these rows); without test if that is 0."""
    settings: dict[str, Any] = {
        "domain": name,
        "description": f"Messages to a {name}.",
        "labels": {"triage.team": list(TEAMS[name])},
        "train": rows(name, "train", train),
        "val": rows(name, "val", val) if isinstance(val, int) else val,
        "test": rows(name, "test", test) or None,
        "metric": fp.metrics.exact_match("team"),
    }
    return fp.Task(name, **{**settings, **more})


def pool(*items: Any, useless: int = 4) -> fp.PromptPool:
    """The good hint, and texts that the model does not care about."""
    return fp.PromptPool([fp.Fragment("good", GOOD, facet="hint"), *items]) | nothing(useless)


def nothing(count: int = 4) -> fp.PromptPool:
    """Texts that the model does not care about."""
    return fp.PromptPool(
        fp.Fragment(f"useless-{index}", f"This is text number {index}.", facet="instruction") for index in range(count)
    )


def says_good(prompt: str, task: str, number: int) -> bool:
    """Right on 9 of 10 cases with the good hint, on 3 of 10 without it."""
    return seed_of(task, number) % 10 < (9 if GOOD in prompt else 3)


@dataclass
class Scripted:
    """A model that is right where ``right`` says so.

    Attributes:
        right: Prompt, task and number of the case → whether it names the right team.
        name: Its name, and its identity.
        usd_per_token: Its price.
        waits: The n-th call → how many turns of the event loop it takes.
        fails_after: The call after which it cannot be reached any more.
        tokens: Tokens that a call is said to take; counted from the text, if not given.
        seen: The messages of every call that it was asked, in order, as text.
        answered: The same, in the order of the answers.
    """

    right: Callable[[str, str, int], bool] = says_good
    name: str = "scripted"
    usd_per_token: tuple[float, float] | None = (0.0, 0.0)
    max_output_tokens: int | None = 100
    free: bool = True
    persistent: bool = True
    waits: Callable[[int], int] = lambda number: 0
    fails_after: int | None = None
    tokens: Callable[[str], int] | None = None
    seen: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)

    @property
    def identity(self) -> Mapping[str, Any]:
        """What its answers depend on."""
        return {"model": self.name}

    async def complete(self, messages: Messages) -> Completion:
        """Answers in the form that is asked for."""
        prompt = json.dumps([dict(message) for message in messages])
        self.seen.append(prompt)
        number = len(self.seen)
        if self.fails_after is not None and number > self.fails_after:
            raise LMError("the line is dead")
        for _ in range(self.waits(number)):
            await asyncio.sleep(0)
        self.answered.append(prompt)
        text = written(messages, self.says(messages))
        spent = len(prompt) // 4 if self.tokens is None else self.tokens(prompt)
        usd = None if self.usd_per_token is None else spent * self.usd_per_token[0] + 5 * self.usd_per_token[1]
        return Completion(text, spent, 5, usd)

    def says(self, messages: Messages) -> Mapping[str, str]:
        """The value of every field that a prompt may ask for."""
        prompt, last = "\n".join(message["content"] for message in messages), messages[-1]["content"]
        found = _CASE.search(last)
        if found is None:
            return {"score": "1.0", "team": "none", "reply": "Thanks."}
        task, number = found[1], int(found[2])
        right = self.right(prompt, task, number)
        teams = TEAMS[task]
        team = teams[number % 3 if right else (number + 1) % 3]
        return {"team": team, "reply": "Thanks." if right else "No.", "reasoning": "So it is.", "score": "0.5"}


def written(messages: Messages, values: Mapping[str, str]) -> str:
    """The fields that the last message asks for, in the form that it asks for."""
    asked = messages[-1]["content"].rpartition("Respond with")[2]
    if "JSON object" in asked:
        return json.dumps({name: values[name] for name in re.findall(r"`(\w+)`", asked)})
    if "XML tags" in asked:
        return "\n".join(f"<{name}>\n{values[name]}\n</{name}>" for name in re.findall(r"<(\w+)>", asked))
    names = [name for name in re.findall(r"\[\[ ## (\w+) ## \]\]", asked) if name != "completed"]
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{values[name]}" for name in names), "[[ ## completed ## ]]"])


@dataclass
class Compiled:
    """A compile and what was seen of it.

    Attributes:
        program: What it returned.
        seen: The calls that its model was asked, in order.
        answered: The same, in the order of the answers.
        events: What its callbacks were told.
    """

    program: fp.CompiledProgram
    seen: tuple[str, ...]
    answered: tuple[str, ...]
    events: list[Any]

    def steps(self) -> list[Any]:
        """The trials that were told, as events."""
        return [event for event in self.events if getattr(event, "phase", "") == "search" and hasattr(event, "step")]


class Kit:
    """What the tests here are made of."""

    Scripted = Scripted
    GOOD = GOOD
    TEAMS = TEAMS
    Desk = Desk
    Triage = Triage
    task = staticmethod(desk_task)
    rows = staticmethod(rows)
    pool = staticmethod(pool)
    nothing = staticmethod(nothing)
    says_good = staticmethod(says_good)

    @staticmethod
    def compile(model: Any = None, tasks: Sequence[fp.Task] | None = None, **changes: Any) -> Compiled:
        """Compiles the desk with a small budget; everything can be changed."""
        model = Scripted() if model is None else model
        events: list[Any] = []
        arguments: dict[str, Any] = {
            "pool": pool(),
            "lm": model,
            "budget": fp.Budget(calls=500),
            "trials": 8,
            "progress": False,
            "callbacks": [events.append],
        }
        program = changes.pop("program", None) or Desk()
        tasks = [desk_task("shop"), desk_task("bank")] if tasks is None else tasks
        compiled = fp.compile(program, tasks, **{**arguments, **changes})
        return Compiled(compiled, tuple(getattr(model, "seen", ())), tuple(getattr(model, "answered", ())), events)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """Program, tasks, pool and model of the scripted desk."""
    return Kit


@pytest.fixture(scope="session")
def improved() -> Compiled:
    """A compile that finds the good hint."""
    return Kit.compile()


@pytest.fixture(scope="session")
def as_written() -> Compiled:
    """A compile with a pool in which nothing helps."""
    return Kit.compile(pool=nothing(6))
