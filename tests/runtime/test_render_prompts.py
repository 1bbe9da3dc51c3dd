"""Rendered prompts: their ids, their tags, what is missing, and how schedules become them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import CallError, LMOutputError
from fusionprog.fusion.compose import Composition, Line, compose
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.task import bind
from fusionprog.prompts.items import FACETS, Content, DemoSet, Fragment, Item
from fusionprog.prompts.schedule import FORMATS, Format, NodeSettings, Schedule
from fusionprog.runtime.render import RenderedPrompt, Renderer, TaskView, render


class Reply(fp.Signature):
    """Answer the customer."""

    message: str = fp.InputField()
    tone: str = fp.InputField(default="kind")
    tags: list[str] = fp.InputField(default_factory=list)
    reply: str = fp.OutputField()


class Team(fp.Signature):
    """Name the team."""

    message: str = fp.InputField()
    team: str = fp.OutputField()


ITEMS: dict[str, Item] = {
    item.id: item
    for item in (
        Fragment("expert", "You are an expert.\nYou are kind.", facet="role"),
        Fragment("short", "Be brief.", facet="constraint"),
        DemoSet("one", [{"message": "a", "reply": "A\nB"}], node="reply"),
        DemoSet("two", [{"message": "c", "tone": "t", "tags": [], "reply": "C"}], node="reply"),
    )
}
OFFERED: dict[str, Content] = {
    key: item.demos if isinstance(item, DemoSet) else item.text_in("retail")
    for key, item in ITEMS.items()
    if isinstance(item, (DemoSet, Fragment))
}
OPEN = NodeSettings(100.0, dict.fromkeys(FACETS, 1.0))
INPUTS = {"message": "x\ny\u2028z\r\n", "tone": "", "tags": ["a"]}


def composed(form: Format, effects: dict[str, float] | None = None) -> Composition:
    """What the schedule makes of the items with these effects, all if none are given."""
    schedule = Schedule(everywhere=dict.fromkeys(ITEMS, 1.0) if effects is None else effects, nodes={"reply": OPEN})
    mixture = schedule.mixture("reply", "shop", (), ITEMS, OFFERED)
    return compose(Reply.instructions, mixture, OFFERED, form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("effects", [None, {}, {"one": 1.0}])
def test_tagged_lines_join_to_exactly_the_messages(form: Format, effects: dict[str, float] | None) -> None:
    prompt = render(Reply, composed(form, effects))
    tagged = prompt.tagged(INPUTS)
    assert [{"role": role, "content": "\n".join(line.text for line in lines)} for role, lines in tagged] == [
        dict(message) for message in prompt.messages(INPUTS)
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_every_line_is_tagged_with_the_item_it_comes_from(form: Format) -> None:
    system, *demos, last = render(Reply, composed(form)).tagged(INPUTS)
    assert [(line.text.strip(), line.item) for line in system[1] if line.item] == [
        ("You are an expert.", "expert"),
        ("You are kind.", "expert"),
        ("Rules:", "short"),
        ("Be brief.", "short"),
    ]
    assert system[1][-6].item == "expert"
    assert (system[1][-5].text.strip(), system[1][-5].item) == ("", None)
    assert [(role, {line.item for line in lines}) for role, lines in demos] == [
        ("user", {"one"}),
        ("assistant", {"one"}),
        ("user", {"two"}),
        ("assistant", {"two"}),
    ]
    assert {line.item for line in last[1]} == {None}


def test_tags_hold_where_dspy_drops_a_blank_first_line() -> None:
    odd = Reply.with_instructions("\n     \n    Answer.")
    assert odd.instructions.splitlines()[0].isspace()
    made = compose(odd.instructions, Schedule().mixture("reply", "shop", (), {}, {}), {}, "chat")
    tagged = Composition((*made.lines, Line("Be brief.", "short")), (), "chat")
    system = render(odd, tagged).tagged(INPUTS)[0][1]
    assert [(line.text.strip(), line.item) for line in system[-2:]] == [("Answer.", None), ("Be brief.", "short")]


def test_tags_of_empty_instructions() -> None:
    class Unsaid(fp.Signature):
        """"""

        message: str = fp.InputField()
        reply: str = fp.OutputField()

    tagged = render(Unsaid, Composition((), (), "chat")).tagged({"message": "m"})
    assert {line.item for _, lines in tagged for line in lines} == {None}
    assert len(tagged) == 2


def prompts() -> dict[str, RenderedPrompt]:
    """Prompts that differ in one thing each."""
    base = composed("chat")
    other = Reply.with_updated_fields("reply", desc="in two sentences")
    renamed = Composition(tuple(Line(line.text, "x") for line in base.lines), base.demos, "chat")
    twice = Composition(base.lines, tuple(("other", dict(demo)) for _, demo in base.demos), "chat")
    swapped = Composition(base.lines, base.demos[::-1], "chat")
    return {
        "base": render(Reply, base),
        "again": render(Reply, composed("chat")),
        "other tags": render(Reply, renamed),
        "other sets": render(Reply, twice),
        "complete demonstrations still last": render(Reply, swapped),
        "json": render(Reply, composed("json")),
        "xml": render(Reply, composed("xml")),
        "fewer": render(Reply, composed("chat", {"short": 1.0})),
        "written": render(Reply, composed("chat", {})),
        "other field": render(other, base),
    }


def test_ids_are_equal_exactly_where_the_messages_are() -> None:
    made = prompts()
    alike = set()
    for (name, one), (twin, other) in itertools.combinations(made.items(), 2):
        assert (one.id == other.id) == (one.messages(INPUTS) == other.messages(INPUTS)), (name, twin)
        if one.id == other.id:
            alike |= {name, twin}
    assert alike == {"base", "again", "other tags", "other sets", "complete demonstrations still last"}


def test_a_prompt_knows_which_sets_it_shows() -> None:
    made = prompts()
    assert made["base"].demo_items == ("one", "two")  # the incomplete one first, as DSPy does
    assert made["fewer"].demo_items == ()
    assert [message["role"] for message in made["base"].prefix] == ["system", *["user", "assistant"] * 2]


def test_a_demonstration_without_an_input_or_output_is_not_shown() -> None:
    lone = Composition(
        (), (("a", {"reply": "R"}), ("b", {"message": "m"}), ("c", {"message": "m", "reply": "R"})), "chat"
    )
    assert render(Reply, lone).demo_items == ("c",)


def test_inputs_that_are_left_out_take_their_defaults_each_time_anew() -> None:
    prompt = render(Reply, Composition((), (), "chat"))
    full = prompt.messages({"message": "m", "tone": "kind", "tags": []})
    assert prompt.messages({"message": "m"}) == full
    assert prompt.input_key({"message": "m"}) == prompt.input_key({"message": "m", "tone": "kind", "tags": []})


def test_an_input_without_a_default_must_be_given() -> None:
    prompt = render(Reply, Composition((), (), "chat"))
    for ask in (prompt.messages, prompt.input_key, prompt.tagged):
        with pytest.raises(CallError, match=r"the prompt's input 'message' is missing: found inputs \['tone'\]"):
            ask({"tone": "x"})


def test_inputs_that_the_prompt_does_not_have_change_nothing() -> None:
    prompt = render(Reply, Composition((), (), "chat"))
    assert prompt.messages({"message": "m", "other": 1}) == prompt.messages({"message": "m"})
    assert prompt.input_key({"message": "m", "other": 1}) == prompt.input_key({"message": "m"})


def test_input_keys_tell_calls_apart() -> None:
    plain = render(Team, Composition((), (), "chat"))
    assert plain.input_key({"message": "m"}) == ("m",)
    rich = render(Reply, Composition((), (), "chat"))
    given: list[dict[str, Any]] = [
        {"message": "m"},
        {"message": "n"},
        {"message": "m", "tone": "n"},
        {"message": "m", "tags": ["a", "b"]},
        {"message": "m", "tags": ["a b"]},
        {"message": "m", "tags": ["b", "a"]},
    ]
    assert len({rich.input_key(each) for each in given}) == len(given)


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ("chat", "[[ ## team ## ]]\nbilling\n\n[[ ## completed ## ]]"),
        ("json", '{"team": "billing"}'),
        ("xml", "<team>\nbilling\n</team>"),
    ],
)
def test_answers_are_read_in_the_format_that_was_asked_for(form: Format, answer: str) -> None:
    prompt = render(Team, Composition((), (), form))
    assert prompt.parse(answer) == {"team": "billing"}
    with pytest.raises(LMOutputError, match=f"cannot be read: expected the fields team in {form} format"):
        prompt.parse("I cannot say.")


def view(name: str = "shop", embedding: tuple[float, ...] = ()) -> TaskView:
    """A task of two nodes that ask a model and one that asks none; all is offered to ``reply``."""
    graph = ProgramGraph("desk")
    graph.add("reply", fp.modules.Predict(Reply))
    graph.add("team", fp.modules.Predict(Team))
    graph.add("shout", fp.modules.Function(str.upper, name="upper", inputs={"text": str}, outputs={"loud": str}))
    for target in ("reply.message", "team.message", "shout.text"):
        graph.connect("message", target)
    task = fp.Task(name, domain="retail", metric=fp.metrics.exact_match("team"))
    return TaskView(name, "retail", bind(graph, task), embedding, {"reply": OFFERED})


def test_only_nodes_that_ask_a_model_have_prompts_and_mixtures() -> None:
    shop = view()
    renderer = Renderer(ITEMS)
    assert shop.prompting_nodes == ("reply", "team")
    assert list(renderer.mixtures(Schedule(), shop)) == ["reply", "team"]
    assert list(renderer.prompts(Schedule(), shop)) == ["reply", "team"]
    assert list(renderer.prompts(Schedule(), shop, ["team", "shout"])) == ["team"]
    assert list(renderer.prompts(Schedule(), shop, iter(["team", "reply"]))) == ["team", "reply"]
    assert renderer.prompts(Schedule(), shop, []) == {}


def test_the_default_schedule_renders_the_program_as_written() -> None:
    made = Renderer(ITEMS).prompts(Schedule(), view())
    assert made["team"].signature is Team
    assert made["reply"].signature is Reply
    assert made["reply"].prefix[1:] == ()
    assert [line.item for line in made["reply"].composition.lines] == [None]


def test_equal_prompts_are_rendered_once() -> None:
    renderer = Renderer(ITEMS)
    first = renderer.prompts(Schedule(), view())
    louder = Schedule(everywhere={"short": 1.0}, nodes={"reply": OPEN})
    second = renderer.prompts(louder, view())
    assert second["team"] is first["team"]
    assert second["reply"] is not first["reply"]
    assert (
        renderer.prompts(Schedule(everywhere={"short": 0.5}, nodes={"reply": OPEN}), view())["reply"] is second["reply"]
    )


def test_a_task_as_written_keeps_its_prompt_and_format() -> None:
    schedule = Schedule(
        everywhere=dict.fromkeys(ITEMS, 1.0),
        nodes={"reply": NodeSettings(1.0, OPEN.gates, "json")},
        as_written=("bank",),
    )
    renderer = Renderer(ITEMS)
    assert renderer.prompts(schedule, view("bank"))["reply"].id == renderer.prompts(Schedule(), view())["reply"].id
    assert renderer.prompts(schedule, view("shop"))["reply"].frame.format.name == "json"


def test_the_embedding_of_the_task_decides_its_prompt() -> None:
    schedule = Schedule(directions={"reply": {"short": (1.0,), "expert": (-1.0,)}}, nodes={"reply": OPEN})
    renderer = Renderer(ITEMS)
    for place, said in ((1.0, "short"), (-1.0, "expert")):
        prompt = renderer.prompts(schedule, view(embedding=(place,)))["reply"]
        assert {line.item for line in prompt.composition.lines} == {None, said}
