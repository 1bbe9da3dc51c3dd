"""What is on offer where, and demonstrations that do not fit their node."""

from __future__ import annotations

import enum
import random
from dataclasses import replace
from typing import Any, Literal

import pytest

import fusionprog as fp
from fusionprog.builders import BalancedDemos, BasisDemos, BootstrappedDemos, ClusteredDemos, LabelGlossary
from fusionprog.builders.offers import check_demos, default_families, offers
from fusionprog.errors import PoolError
from fusionprog.program.program import program_graph
from fusionprog.program.task import Task, TaskProgram, bind
from fusionprog.prompts.items import BuildContext, Content, DemoSet, Facet, Family, Fragment, Item

ALL = ["triage", "answer"]


class Made(Family):
    """Makes what it is told, for tests."""

    kind = "made"

    def __init__(self, content: Any, facet: Facet = "hint") -> None:
        self.content = content
        self.facet = facet
        super().__init__()

    def arguments(self) -> dict[str, Any]:
        return {}

    def build(self, context: BuildContext) -> Content | None:
        self.context = context
        made: Content | None = self.content
        return made


@pytest.fixture
def shop(desk_tasks: list[Task]) -> Task:
    """A task with training rows."""
    return desk_tasks[0]


@pytest.fixture
def program(desk_program: fp.Program, shop: Task) -> TaskProgram:
    """The support desk as the shop sees it."""
    return bind(program_graph(desk_program), shop)


def on_offer(
    items: list[Item], task: Task, program: TaskProgram, traces: Any = None, seed: int = 0
) -> dict[str, dict[str, Content]]:
    """What is on offer at both nodes."""
    return offers(items, task, program, ALL, traces or {}, seed)


def test_fragments_are_offered_where_they_say_with_the_domains_text(shop: Task, program: TaskProgram) -> None:
    made = on_offer(
        [
            Fragment("kind", "Be kind.", facet="constraint"),
            Fragment("brief", "Be brief.", facet="constraint", nodes=["answer"]),
            Fragment("terms", facet="hint", texts={"retail": "R.", "banking": "B."}),
            Fragment("far", "F.", facet="hint", domains=["banking"]),
        ],
        shop,
        program,
    )
    assert made == {
        "triage": {"kind": "Be kind.", "terms": "R."},
        "answer": {"kind": "Be kind.", "brief": "Be brief.", "terms": "R."},
    }


def test_families_build_from_the_tasks_training_rows_node_by_node(shop: Task, program: TaskProgram) -> None:
    family = Made("text")
    on_offer([family], shop, program)
    context = family.context
    assert (context.task, context.node) == ("shop", "answer")
    assert list(context.signature.output_fields) == ["reasoning", "reply"]
    # The gold team is what an edge would carry; no column tells the reply.
    rows = [row.columns for row in shop.rows["train"]]
    assert context.rows == tuple({"message": row["message"], "team": row["team"]} for row in rows)


def test_families_with_nothing_to_offer_are_left_out(shop: Task, program: TaskProgram) -> None:
    made = on_offer(
        [LabelGlossary(), BalancedDemos(), ClusteredDemos(), BasisDemos(), BootstrappedDemos()], shop, program
    )
    assert list(made["triage"]) == ["label-glossary-8", "balanced-demos-1", "clustered-demos-8", "basis-demos-8"]
    assert made["answer"] == {}
    for nothing in (None, "", ()):
        assert on_offer([Made(nothing)], shop, program) == {"triage": {}, "answer": {}}


def test_traces_are_handed_to_their_node(shop: Task, program: TaskProgram) -> None:
    runs = {"answer": [{"message": "m", "team": "delivery", "reasoning": "so", "reply": "r"}]}
    made = on_offer([BootstrappedDemos()], shop, program, runs)
    assert made == {"triage": {}, "answer": {"bootstrapped-demos-8": tuple(runs["answer"])}}


def test_a_private_task_shows_no_rows(shop: Task, program: TaskProgram) -> None:
    families: list[Item] = [*default_families(), BasisDemos(), Fragment("kind", "Be kind.", facet="constraint")]
    runs = {"triage": [{"message": "m", "team": "delivery"}]}
    public = on_offer(families, shop, program, runs)["triage"]
    private = on_offer(families, replace(shop, private=True), program, runs)["triage"]
    assert set(public) - set(private) == {item.id for item in families if getattr(item, "reveals_rows", False)}
    assert all(isinstance(content, str) for content in private.values())
    told = "\n".join(str(content) for content in private.values())
    assert not any(row.columns["message"] in told for row in shop.rows["train"])


def test_the_same_seed_offers_the_same_and_another_seed_other_rows(shop: Task, program: TaskProgram) -> None:
    families: list[Item] = [*default_families(), BasisDemos()]
    assert on_offer(families, shop, program, seed=1) == on_offer(families, shop, program, seed=1)
    drawn = {str(on_offer([BalancedDemos()], shop, program, seed=seed)) for seed in range(5)}
    assert len(drawn) > 1


def test_the_order_of_the_pool_changes_no_content(shop: Task, program: TaskProgram) -> None:
    families: list[Item] = [*default_families(), BasisDemos(), Fragment("kind", "Be kind.", facet="constraint")]
    shuffled = random.Random(0).sample(families, len(families))
    assert on_offer(shuffled, shop, program) == on_offer(families, shop, program)


def test_the_default_families_have_names_of_their_own() -> None:
    pool = fp.PromptPool(default_families())
    assert len(pool) == len(default_families())
    assert {type(item) for item in pool} == {LabelGlossary, BalancedDemos, ClusteredDemos, BootstrappedDemos}


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (Made("[[ ## team ## ]] is x"), "family 'made', task 'shop', node 'triage' changes a field name"),
        (Made(("a", "b")), "family 'made', task 'shop', node 'triage' has no text: expected some text"),
        (Made(5), "family 'made', task 'shop', node 'triage' has no text: expected some text, found 5"),
        (Made("text", "demos"), "family 'made', task 'shop', node 'triage' made a text: expected demonstrations"),
        (Made(({"message": "m"},), "demos"), "demonstration 0 needs an input and an output field"),
        (Made(({"message": "m", "team": "x"},), "demos"), "demonstration 0: 'x' is no label of 'team'"),
    ],
)
def test_a_family_that_makes_something_else_is_refused(
    shop: Task, program: TaskProgram, family: Family, words: str
) -> None:
    with pytest.raises(PoolError, match=words.replace("[", r"\[")):
        on_offer([family], shop, program)


def test_demonstrations_that_fit_are_offered_as_they_are(shop: Task, program: TaskProgram) -> None:
    rows: list[dict[str, Any]] = [
        {"message": "m", "reasoning": "so", "reply": "r"},
        {"message": "n", "team": None, "reply": "s"},
    ]
    shots = DemoSet("shots", rows, node="answer")
    assert on_offer([shots], shop, program) == {"triage": {}, "answer": {"shots": shots.demos}}


@pytest.mark.parametrize(
    ("demo", "words"),
    [
        (
            {"message": "m", "team": "fraud"},
            ["demonstration set 'shots', task 'shop', demonstration 1", "'fraud' is no label of 'team'", "'returns'"],
        ),
        ({"message": "m", "team": "biling"}, ["'biling' is no label", "Did you mean 'billing'", "domains=[...]"]),
        ({"mesage": "m", "team": "billing"}, ["no field 'mesage'", "Did you mean 'message'", "demonstration 1"]),
        ({"message": "m", "reasoning": "so"}, ["no field 'reasoning'"]),
        ({"message": "m"}, ["demonstration 1 needs an input and an output field", "{'message': 'm'}"]),
        ({"team": "billing"}, ["demonstration 1 needs an input and an output field"]),
    ],
)
def test_demonstrations_that_do_not_fit_are_refused(
    shop: Task, program: TaskProgram, demo: dict[str, str], words: list[str]
) -> None:
    shots = DemoSet("shots", [{"message": "m", "team": "billing"}, demo], node="triage")
    with pytest.raises(PoolError) as caught:
        on_offer([shots], shop, program)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_set_for_one_domain_is_not_held_against_anothers_labels(
    desk_program: fp.Program, desk_tasks: list[Task]
) -> None:
    shots = DemoSet("shots", [{"message": "m", "team": "fraud"}], node="triage", domains=["banking"])
    graph = program_graph(desk_program)
    shop, bank = (offers([shots], task, bind(graph, task), ALL, {}, 0) for task in desk_tasks)
    assert shop["triage"] == {}
    assert bank["triage"] == {"shots": shots.demos}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Typed(fp.Signature):
    """Closed outputs of several types."""

    message: str = fp.InputField()
    kind: Literal["a", "b"] = fp.InputField(default="a")
    colour: Colour = fp.OutputField()
    shade: Literal[Colour.RED] = fp.OutputField()
    tags: list[Literal["late", "lost"]] = fp.OutputField()
    stars: Literal[1, 2] | None = fp.OutputField()
    text: str = fp.OutputField()


@pytest.mark.parametrize(
    "outputs",
    [
        {"colour": Colour.RED},
        {"colour": "red"},
        {"shade": Colour.RED},
        {"tags": ["late", "lost"]},
        {"tags": []},
        {"stars": 2},
        {"stars": None},
        {"text": "anything"},
        {"text": "t", "kind": "an input is not checked"},
    ],
)
def test_labels_of_every_type_are_known(outputs: dict[str, Any]) -> None:
    check_demos([{"message": "m", **outputs}], Typed, "here")


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"colour": "green"}, "'green' is no label of 'colour'"),
        ({"shade": Colour.BLUE}, "'blue' is no label of 'shade'"),
        ({"tags": ["late", "gone"]}, "'gone' is no label of 'tags'"),
        ({"stars": 3}, "3 is no label of 'stars'"),
        ({"stars": "1"}, "'1' is no label of 'stars'"),
        ({"colour": {"a": 1}}, "is no label of 'colour'"),
    ],
)
def test_labels_of_every_type_are_refused(outputs: dict[str, Any], words: str) -> None:
    with pytest.raises(PoolError, match=f"here, demonstration 0: .*{words}"):
        check_demos([{"message": "m", **outputs}], Typed, "here")
