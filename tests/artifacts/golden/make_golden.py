"""Adds golden artifacts: files of this version that every later one must load.

``python tests/artifacts/golden/make_golden.py v1`` writes ``v1-desk.json`` and ``v1-dspy.json``, with the messages that
they send. It never writes over a file: what was released stays as it is. When the schema version rises, or an optional
part comes to the schema, extend the programs below and add files under a new name (``v2``, ``v1b``); the older ones
stay beside them. A test says what is missing.
"""

from __future__ import annotations

import datetime
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import dspy
import numpy as np

import fusionprog as fp
from fusionprog.builders.offers import offers
from fusionprog.evaluation.metrics import as_metric
from fusionprog.lm.offline_model import OfflineModel
from fusionprog.program.program import program_graph
from fusionprog.program.task import bind
from fusionprog.prompts.embedders.hashed_ngrams import HashedNgrams
from fusionprog.prompts.embedding import Basis
from fusionprog.prompts.items import FACETS, Item
from fusionprog.prompts.schedule import MODEL, NodeSettings, Schedule
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.runtime.growth import Growth
from fusionprog.runtime.learned import Effect, Learned, Point, Shared, SharedEffect
from fusionprog.runtime.lineage import Lineage
from fusionprog.runtime.record import Adapted, Comparison, CompileRecord, FrontPoint, Score, TaskRecord
from fusionprog.runtime.render import Renderer, TaskView

FOLDER = Path(__file__).parent
TEAMS = {"shop": ["billing", "delivery"], "bank": ["cards", "loans"], "hotel": ["rooms", "food"]}


class Triage(fp.Signature):
    """Decide which team should handle a message.

    Take your time."""

    message: str = fp.InputField(desc="what the customer wrote")
    since: datetime.date = fp.InputField(default=datetime.date(2026, 1, 2))
    team: str = fp.OutputField(desc="the team\nthat handles it")
    urgent: bool = fp.OutputField()
    stars: int = fp.OutputField(ge=0, le=5)


class Reply(fp.Signature):
    """Answer the message."""

    message: str = fp.InputField()
    team: str = fp.InputField()
    tone: Literal["warm", "brief"] = fp.InputField()
    reply: str = fp.OutputField()


class GermanReply(fp.Signature):
    """Beantworte die Nachricht."""

    message: str = fp.InputField()
    team: str = fp.InputField()
    tone: Literal["warm", "brief"] = fp.InputField()
    reply: str = fp.OutputField(desc="auf Deutsch")


class Desk(fp.Program):
    """Two nodes share a module, one has something to choose, and one is asked only where it is urgent."""

    def __init__(self) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(Triage, demos=[{"message": "an old one", "team": "billing"}])
        self.answer = fp.modules.Choose(fp.modules.Predict(Reply), fp.modules.ChainOfThought(Reply))
        self.mend = fp.modules.Predict("draft: str -> mended: str")

    def forward(self, message: str, name: str = "you") -> Any:
        """Triage, answer, and mend twice what is urgent."""
        triage = self.triage(message=message)
        answer = self.answer(message=message, team=triage.team, tone=fp.Choice("warm", "brief")).reply
        once = self.mend(draft=answer).mended
        twice = self.mend(draft=once).mended
        return {"team": triage.team, "reply": fp.when(triage.urgent, twice, answer), "name": name}


class Agent(dspy.Module):
    """Code that calls a predictor twice."""

    def __init__(self) -> None:
        super().__init__()
        self.think = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        """Asks, and asks again."""
        return self.think(question=self.think(question=question).answer)


def rows(task: str) -> list[dict[str, Any]]:
    """Messages that name their team."""
    return [{"message": f"about {team}, {number}", "team": team} for number in range(2) for team in TEAMS[task]]


def desk_tasks() -> list[fp.Task]:
    """Three tasks with label sets of their own; one has another signature and fewer outputs."""
    return [
        fp.Task(
            name,
            domain=name,
            description=f"Messages to a {name}.",
            labels={"triage.team": TEAMS[name]},
            signatures={"answer": GermanReply} if name == "bank" else None,
            outputs=["team"] if name == "hotel" else (),
            train=rows(name),
            metric=fp.metrics.exact_match("team"),
        )
        for name in TEAMS
    ]


def desk_items() -> list[Item]:
    """All kinds of items."""
    return [
        fp.Fragment("fair", "Be fair.\n  Always.", facet="role", pinned=True),
        fp.Fragment("terms", facet="hint", texts={"shop": "A parcel is an order.", "bank": "A card is plastic."}),
        fp.Fragment("brief", "Be brief.", facet="constraint", nodes=["answer"], requires=["fair"], conflicts=["long"]),
        fp.Fragment("long", "Be thorough.", facet="constraint", domains=["bank"]),
        fp.DemoSet(
            "basics", [{"message": "where is it?", "team": "delivery"}], node="triage", domains=["shop"], pinned=True
        ),
        fp.builders.LabelGlossary(words=3, nodes=["triage"], pinned=True),
    ]


def desk_schedule() -> Schedule:
    """A schedule in which a node and a task follow their own."""
    gates = dict.fromkeys(FACETS, 1.0)
    nodes = {
        "triage": NodeSettings(0.5, gates, "json", {}),
        "answer": NodeSettings(
            0.5, gates, "xml", {"module": "ChainOfThought", "arg.tone": '"brief"', MODEL: "offline"}
        ),
    }
    schedule = Schedule(
        everywhere={"terms": 0.1, "long": -0.2},
        at_node={"triage": {"basics": 0.2}, "answer": {"brief": 0.05}},
        in_task={"shop": {"answer": {"brief": 0.1}}},
        directions={"answer": {"terms": (0.01, -0.02)}},
        pairs={"answer": {"terms": {"brief": 0.03}}},
        costs={"terms": 0.01, "brief": 0.02},
        nodes=nodes,
        as_written=("bank",),
    )
    own = Schedule(everywhere={"terms": 0.3}, nodes={"mend": NodeSettings(1.0, gates)})
    return replace(schedule, by_node={"mend": own}, by_task={"hotel": replace(own, nodes=nodes)})


def record(tasks: list[fp.Task]) -> CompileRecord:
    """A record with all that one can have."""
    before, after = Score(0.5, 0.05, 40), Score(0.75, 0.04, 40)
    compared = Comparison(before, after, 0.25, 0.06)
    made = {
        task.name: TaskRecord(
            confirmation=compared,
            test=compared if task.name == "shop" else None,
            metric=as_metric(task.metric).description,
            cost={"before": {"tokens": 100.0, "usd": None}, "after": {"tokens": 200.0, "usd": 0.5}},
            sizes={"train": 4},
            data={"train": "0" * 32},
        )
        for task in tasks
    }
    first, last = tasks[0].name, tasks[-1].name
    made[first] = replace(made[first], replaced=compared)
    made[last] = replace(made[last], confirmation=None, adapted=Adapted("probed", 0.1, 0.02, {"all tasks": 0.75}))
    effects = {"triage": {"terms": Effect(0.1, 0.02, 30)}}
    return CompileRecord(
        tasks=made,
        improved=True,
        reason="all trials are done",
        trials=8,
        spent={"calls": 100, "tokens": 2000, "usd": 0.25},
        phases={"search": 100, "test": 40},
        seed=7,
        optimizer={"name": "fusion", "sampler": "effects"},
        models={},
        versions={"fusionprog": fp.__version__},
        fingerprint="f" * 32,
        notes=("a note",),
        weights={"shop": 1.5, "bank": 0.5},
        refused=("a finalist is worse in bank",),
        front=(FrontPoint("as written", 0.5, 0.05, 100.0, None, 20.0, True),),
        learned=Learned(
            method="posterior",
            effects={"shop": effects},
            settings={"answer": {"module": {"ChainOfThought": Effect(0.05, 0.01, 20)}}},
            importance={"triage.hint.terms": 0.75},
            curve=(Point(0, 10, 0.5), Point(8, 100, 0.75, 0.8, 1)),
            shared=Shared(0.05, {"triage": {"terms": SharedEffect(0.1, 0.02, (0.01,), (0.02,))}}),
            sources={"all tasks": 0.75},
        ),
        growth=Growth(
            ("as written", "compiled", "hotel added"),
            {"shop": 1, "bank": 1, "hotel": 2},
            ({"shop": 0.5, "bank": 0.5}, {"shop": 0.75, "bank": 0.75}, {"shop": 0.75, "bank": 0.75, "hotel": 0.5}),
        ),
    )


def assembled(
    program: Any, tasks: list[fp.Task], items: list[Item], schedule: Schedule, **models: Any
) -> CompiledProgram:
    """A program as a compile puts it together, without a search."""
    graph = program_graph(program)
    asking = [name for name, node in graph.nodes.items() if node.asks_model]
    by_id = {item.id: item for item in items}
    embedder = HashedNgrams(16)
    vectors = embedder.embed_texts([f"{task.description} {task.domain}" for task in tasks])
    basis = Basis.fit(vectors)
    renderer = Renderer(by_id)
    made = {}
    for task, vector in zip(tasks, vectors, strict=True):
        bound = bind(graph, task)
        offered = offers(items, task, bound, asking, {}, 0)
        view = TaskView(task.name, task.domain, bound, basis.coordinates(np.asarray(vector)), offered)
        mixtures = renderer.mixtures(schedule, view)
        made[task.name] = CompiledTask(view, task.description, mixtures, as_metric(task.metric))
    return CompiledProgram(
        graph=graph,
        items=by_id,
        schedule=schedule,
        tasks=made,
        embedder=embedder.identity,
        basis=basis,
        record=record(tasks),
        models=dict.fromkeys(asking, OfflineModel()),
        **models,
    )


def programs() -> dict[str, CompiledProgram]:
    """The programs of this version: with every optional part in one of them."""
    identity = dict(OfflineModel().identity)
    written = {"answer": {**identity, "version": 0}}
    desk = assembled(Desk(), desk_tasks(), desk_items(), desk_schedule(), written_for=written)
    parent = desk.with_lineage(Lineage.of("compile", [(desk, "prior")]))
    desk = desk.with_lineage(Lineage.of("adapt", [(parent, "added hotel")]))
    graph = fp.from_dspy(Agent(), outputs={"answer": str}, calls=2)
    task = fp.Task("quiz", description="A quiz.", metric=fp.metrics.exact_match("answer"))
    agent = assembled(graph, [task], [fp.Fragment("brief", "Be brief.", facet="constraint")], Schedule())
    agent.record = replace(agent.record, learned=None, growth=None, weights={}, front=(), refused=())
    return {"desk": desk, "dspy": agent}


def messages(program: CompiledProgram) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Task → node → the messages that it sends."""
    return {
        task: {
            node: [dict(each) for each in program.prompt(task, node=node)]
            for node in program.variant(task).prompting_nodes
        }
        for task in program.tasks
    }


def main(prefix: str) -> None:
    """Writes the files under a new name."""
    for name, program in programs().items():
        artifact, sent = FOLDER / f"{prefix}-{name}.json", FOLDER / f"{prefix}-{name}.messages"
        if artifact.exists() or sent.exists():
            raise SystemExit(f"{artifact.name} is there; golden files stay as they are: choose another name")
        program.save(artifact)
        sent.write_text(json.dumps(messages(program), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"wrote {artifact.name} and {sent.name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python tests/artifacts/golden/make_golden.py NAME")
    main(sys.argv[1])
