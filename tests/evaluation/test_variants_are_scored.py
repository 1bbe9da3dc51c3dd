"""What a schedule picks is what is scored: nodes, modules and models of a variant."""

from __future__ import annotations

from typing import Any

import pytest

import fusionprog as fp
from fusionprog.evaluation.program import make_scorer
from fusionprog.evaluation.variants import Variants
from fusionprog.evaluation.worth import WORTH_OF_DOLLAR, WORTH_OF_TOKEN, worth_of_call
from fusionprog.lm.price import Price
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.task import bind
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.runtime.render import Renderer, TaskView
from fusionprog.search.worst_case import worst_case
from fusionprog.testing import TextModel


def model(name: str, usd: float = 1e-6, longest: int = 10) -> TextModel:
    return TextModel(lambda messages: "", name, usd_per_token=(usd, usd), max_output_tokens=longest)


ONE, TWO = model("one"), model("two", 2e-6)


def program() -> ProgramGraph:
    graph = fp.ProgramGraph("Program")
    graph.add("draft", fp.modules.Choose(fp.modules.Predict("text -> out"), fp.modules.ChainOfThought("text -> out")))
    graph.add("remark", fp.modules.Predict("text -> note"))
    graph.add("mend", fp.modules.Optional(fp.modules.Predict("out, note -> end"), passthrough={"end": "out"}))
    graph.connect("text", "draft.text")
    graph.connect("text", "remark.text")
    graph.connect("draft.out", "mend.out")
    graph.connect("remark.note", "mend.note")
    return graph


GRAPH = program()
TASK = fp.Task("t", val=[{"text": "x", "end": "y"}], metric=fp.metrics.exact_match("end"))
SCORER = make_scorer(
    TaskView("t", "t", bind(GRAPH, TASK), ()),
    TASK.metric,
    dict.fromkeys(("draft", "remark", "mend"), ONE),
    {"draft": {"one": ONE, "two": TWO}, "mend": {"one": ONE, "two": TWO}},
)


def picking(*as_written: str, **nodes: dict[str, str]) -> Schedule:
    return Schedule(
        nodes={node: NodeSettings(choices=choices) for node, choices in nodes.items()}, as_written=as_written
    )


def test_as_written_everything_runs_with_its_first_options() -> None:
    scorer = Variants({"t": SCORER}).scorer(Schedule(), "t")
    assert scorer.nodes == scorer.asking == ("draft", "remark", "mend")
    assert set(scorer.models.values()) == {ONE} and scorer.picks == ()
    assert type(scorer.view.program.graph.nodes["draft"].module) is fp.modules.Predict


def test_what_is_picked_runs_on_the_model_that_is_picked() -> None:
    schedule = picking(draft={"module": "ChainOfThought", "lm": "two"}, mend={"node": "off", "lm": "two"})
    scorer = Variants({"t": SCORER}).scorer(schedule, "t")
    assert scorer.nodes == ("draft", "mend") and scorer.asking == ("draft",)
    assert scorer.models["draft"] is TWO and scorer.models["mend"] is ONE, "what asks nothing needs no model"
    assert scorer.picks == (("draft", "lm", "two"), ("draft", "module", "ChainOfThought"), ("mend", "node", "off"))
    assert "reasoning" in (scorer.view.program.prompted("draft") or SCORER.view.program.signatures["draft"]).fields


def test_tasks_that_are_left_as_written_have_no_picks() -> None:
    assert Variants({"t": SCORER}).scorer(picking("t", mend={"node": "off"}), "t").picks == ()


def test_equal_picks_share_a_scorer_and_options_share_their_signature() -> None:
    variants = Variants({"t": SCORER})
    one = variants.scorer(picking(draft={"module": "ChainOfThought"}), "t")
    assert variants.scorer(picking(draft={"module": "ChainOfThought"}), "t") is one
    other = variants.scorer(picking(draft={"module": "ChainOfThought"}, mend={"node": "off"}), "t")
    assert other.view.program.prompted("draft") is one.view.program.prompted("draft")


def test_programs_with_nothing_to_choose_are_scored_as_they_are() -> None:
    graph = fp.ProgramGraph("Plain")
    graph.add("draft", fp.modules.Predict("text -> end"))
    graph.connect("text", "draft.text")
    plain = make_scorer(TaskView("t", "t", bind(graph, TASK), ()), TASK.metric, {"draft": ONE})
    assert Variants({"t": plain}).scorer(picking(draft={"lm": "two"}), "t") is plain


def test_the_worst_case_is_that_of_what_is_picked() -> None:
    variants, renderer = Variants({"t": SCORER}), Renderer({})

    def worst(**nodes: dict[str, str]) -> Any:
        schedule = picking(**nodes)
        scorer = variants.scorer(schedule, "t")
        return worst_case(scorer, renderer.prompts(schedule, scorer.view, scorer.asking), TASK.rows["val"])

    assert (worst().calls, worst(mend={"node": "off"}).calls) == (3, 1)
    alone, dear = worst(mend={"node": "off"}), worst(mend={"node": "off"}, draft={"lm": "two"})
    assert dear.tokens == alone.tokens and dear.usd == pytest.approx(2 * alone.usd)


def test_what_a_call_must_bring_counts_tokens_and_known_dollars() -> None:
    assert worth_of_call(100, 50, None) == pytest.approx(150 * WORTH_OF_TOKEN)
    assert worth_of_call(100, 50, Price.flat(1e-6, 4e-6)) == pytest.approx(
        150 * WORTH_OF_TOKEN + 3e-4 * WORTH_OF_DOLLAR
    )
