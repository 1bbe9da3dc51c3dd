"""Two programs that come from one become one: node by node, task by task, with what was taken and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.artifacts.merge_choice import model_identity
from fusionprog.errors import ArtifactError, ArtifactMismatchError
from fusionprog.lm.resolve import resolve_models
from fusionprog.prompts.items import FACETS
from fusionprog.prompts.schedule import Mixer, NodeSettings, Schedule
from fusionprog.runtime.growth import Growth
from fusionprog.runtime.lineage import Lineage

NODES = ("triage", "answer")
TEAMS = {
    "shop": ["billing", "delivery"],
    "bank": ["cards", "loans"],
    "hotel": ["rooms", "food"],
    "zoo": ["cats", "birds"],
}
Make = Callable[..., fp.CompiledProgram]


def graph(instructions: str = "Answer.") -> fp.ProgramGraph:
    made = fp.ProgramGraph("Desk")
    made.add("triage", fp.modules.Predict("message: str -> team: str"))
    made.add("answer", fp.modules.Predict(fp.Signature("message: str, team: str -> reply: str", instructions)))
    for target in ("triage.message", "answer.message"):
        made.connect("message", target)
    made.connect("triage.team", "answer.team")
    made.output("team", "triage.team")
    made.output("reply", "answer.reply")
    return made


def task(name: str, **more: Any) -> fp.Task:
    labels = {"triage.team": more.pop("teams", TEAMS[name])}
    return fp.Task(name, domain=name, description=name, labels=labels, metric=fp.metrics.exact_match("team"), **more)


def hints(names: str = "abcd", word: str = "Mind") -> list[fp.Fragment]:
    return [fp.Fragment(name, f"{word} {name}.", facet="hint") for name in names]


@pytest.fixture
def make(assemble: Callable[..., fp.CompiledProgram]) -> Make:
    """Makes a desk: ``opened`` says which hints each node shows, ``gains`` what was measured."""

    def made(
        opened: Mapping[str, str] = {},
        gains: float | Mapping[str, float] = 0.1,
        *,
        parents: Sequence[fp.CompiledProgram] = (),
        tasks: Sequence[str] = ("shop", "bank"),
        items: Any = None,
        model: str = "offline",
        instructions: str = "Answer.",
        **more: Any,
    ) -> fp.CompiledProgram:
        program = assemble(
            graph(instructions),
            [each if isinstance(each, fp.Task) else task(each) for each in tasks],
            items or hints(),
            schedule=schedule(opened, **more),
            model=resolve_models(model, ["it"])["it"],
        )
        records = {}
        for name, record in program.record.tasks.items():
            gain = gains if isinstance(gains, float) else gains[name]
            assert record.confirmation is not None
            records[name] = replace(record, confirmation=replace(record.confirmation, gain=gain))
        program.record = replace(program.record, tasks=records)
        return program.with_lineage(Lineage.of("compile", [(each, "prior") for each in parents]))

    return made


def schedule(opened: Mapping[str, str], **more: Any) -> Schedule:
    shown = {node: dict.fromkeys(opened.get(node, ""), 0.5) for node in NODES}
    settings = NodeSettings(3.0, dict.fromkeys(FACETS, 1.0))
    return Schedule(at_node=shown, nodes=dict.fromkeys(NODES, settings), **more)


def shows(program: fp.CompiledProgram, task: str, node: str) -> str:
    """The hints that a node shows in a task."""
    text = program.prompt(task, node=node)[0]["content"]
    return "".join(name for name in "abcdefgh" if f"Mind {name}." in text)


def test_a_node_that_one_side_changed_is_taken_from_there(make: Make, tmp_path: Path) -> None:
    base = make({"triage": "a", "answer": "a"})
    one = make({"triage": "b", "answer": "a"}, 0.1, parents=[base])
    other = make({"triage": "a", "answer": "c"}, 0.3, parents=[base])
    merged = fp.merge(one, other, base)
    for name in ("shop", "bank"):
        assert (shows(merged, name, "triage"), shows(merged, name, "answer")) == ("b", "c")
    assert list(merged.record.notes) == [
        "node 'triage': only the first changed it",
        "node 'answer': only the second changed it",
        "task 'shop': not measured as merged; the scores are those of the second",
        "task 'bank': not measured as merged; the scores are those of the second",
    ]
    assert [(each.hash, each.kind, each.change) for each in merged.record.lineage.parents] == [
        (one.content_hash, "merge", "nodes triage"),
        (other.content_hash, "merge", "nodes answer"),
    ]
    assert merged.record.lineage.distances()[base.content_hash] == 2
    assert merged.record.spent == {"calls": 2, "tokens": 4, "usd": 0.6}

    merged.save(tmp_path / "merged.json")
    assert fp.load(tmp_path / "merged.json").content_hash == merged.content_hash
    assert fp.merge(one, other, base).content_hash == merged.content_hash, "the same again"
    turned = fp.merge(other, one, base)
    assert [shows(turned, "shop", node) for node in NODES] == ["b", "c"]


@pytest.mark.parametrize(("gain", "taken", "side"), [(0.3, "c", "second"), (0.1, "b", "first"), (0.05, "b", "first")])
def test_a_node_that_both_changed_is_taken_from_the_side_with_the_higher_gain(
    gain: float, taken: str, side: str, make: Make
) -> None:
    base = make({"triage": "a"})
    one, other = make({"triage": "b"}, parents=[base]), make({"triage": "c"}, gain, parents=[base])
    merged = fp.merge(one, other, base)
    assert shows(merged, "shop", "triage") == taken
    assert merged.record.notes[0].startswith(f"node 'triage': both changed it; taken from the {side}, by the gain on")
    assert merged.record.notes[1:] == ("node 'answer': nobody changed it",), "all is from one side, so it was measured"
    measured = (other if side == "second" else one).record.tasks["shop"].confirmation
    assert merged.record.tasks["shop"].confirmation == measured


def test_where_one_side_is_the_base_the_other_is_the_result_and_was_measured(make: Make) -> None:
    base = make({"triage": "a", "answer": "a"}, 0.3)
    later = make({"triage": "b", "answer": "a"}, parents=[base])
    for merged in (fp.merge(base, later, base), fp.merge(later, base, base)):
        assert [shows(merged, "shop", node) for node in NODES] == ["b", "a"]
        assert not any("not measured" in line for line in merged.record.notes)
        assert merged.record.tasks["shop"].confirmation == later.record.tasks["shop"].confirmation


def test_what_was_measured_as_one_side_grew_is_not_said_of_the_merged_program(make: Make) -> None:
    base = make({"triage": "a"})
    one = make({"triage": "b"}, 0.3, parents=[base])
    one.record = replace(
        one.record, growth=Growth(("as written", "compiled"), {"shop": 1}, ({"shop": 0.5}, {"shop": 0.75}))
    )
    assert one.record.growth is not None
    assert fp.merge(one, make({"triage": "a"}, parents=[base]), base).record.growth is None


def test_what_both_changed_alike_is_no_conflict(make: Make) -> None:
    base = make({"triage": "a"})
    one, other = make({"triage": "b"}, 0.2, parents=[base]), make({"triage": "b", "answer": "c"}, parents=[base])
    merged = fp.merge(one, other, base)
    assert [shows(merged, "bank", node) for node in NODES] == ["b", "c"]
    assert merged.record.notes[0] == "node 'triage': the same in both"


def test_tasks_that_one_side_has_are_taken_as_they_are(make: Make) -> None:
    """Also where its nodes, in the tasks that both have, are taken from the other side."""
    base = make({"triage": "a"}, tasks=["shop"])
    one = make({"triage": "b", "answer": "b"}, 0.3, parents=[base], tasks=["shop", "hotel"])
    other = make({"triage": "c"}, parents=[base], tasks=["zoo", "shop"], items=hints("acde"))
    merged = fp.merge(one, other, base)
    assert list(merged.tasks) == ["shop", "hotel", "zoo"]
    assert [shows(merged, "shop", node) for node in NODES] == ["b", "b"]
    assert [shows(merged, "hotel", node) for node in NODES] == ["b", "b"]
    assert [shows(merged, "zoo", node) for node in NODES] == ["c", ""]
    assert "task 'zoo': only the second has it" in merged.record.notes
    assert list(merged.items) == ["a", "b", "c", "d", "e"]
    assert merged.record.tasks["zoo"].confirmation == other.record.tasks["zoo"].confirmation
    assert len(merged.tasks["zoo"].view.embedding) == merged.basis.size


def test_a_task_that_both_added_is_taken_from_the_side_with_the_higher_gain_in_it(make: Make) -> None:
    base = make({"triage": "a"}, tasks=["shop"])
    one = make({"triage": "b"}, {"shop": 0.5, "zoo": 0.1}, parents=[base], tasks=["shop", "zoo"])
    other = make({"triage": "c"}, {"shop": 0.1, "zoo": 0.2}, parents=[base], tasks=["shop", "zoo"])
    merged = fp.merge(one, other, base)
    assert (shows(merged, "shop", "triage"), shows(merged, "zoo", "triage")) == ("b", "c")
    assert merged.record.notes[-1] == "task 'zoo': both added it; taken from the second, by its gain"


def test_tasks_with_a_schedule_of_their_own_keep_what_was_not_changed(make: Make) -> None:
    hotel = schedule({"triage": "d", "answer": "d"})
    base = make({"triage": "a", "answer": "a"}, tasks=["shop", "hotel"], by_task={"hotel": hotel})
    moved = {"hotel": schedule({"triage": "d", "answer": "c"})}
    one = make({"triage": "a", "answer": "a"}, parents=[base], tasks=["shop", "hotel"], by_task=moved)
    other = make({"triage": "b", "answer": "a"}, parents=[base], tasks=["shop", "hotel"], by_task={"hotel": hotel})
    merged = fp.merge(one, other, base)
    assert [shows(merged, "shop", node) for node in NODES] == ["b", "a"]
    assert [shows(merged, "hotel", node) for node in NODES] == ["d", "c"]
    later = make({"triage": "a", "answer": "e"}, 0.9, items=hints("abcde"), parents=[merged], tasks=["shop"])
    again = fp.merge(later, merged, merged)
    assert [shows(again, "shop", node) for node in NODES] == ["a", "e"]
    assert [shows(again, "hotel", node) for node in NODES] == ["d", "c"]


def test_tasks_that_are_left_as_written_stay_so(make: Make) -> None:
    base = make({"triage": "a"})
    one = make({"triage": "b"}, parents=[base], as_written=("bank",))
    other = make({"triage": "a", "answer": "c"}, 0.2, parents=[base])
    merged = fp.merge(one, other, base)
    assert (shows(merged, "bank", "triage"), shows(merged, "bank", "answer")) == ("", "c")
    assert (shows(merged, "shop", "triage"), shows(merged, "shop", "answer")) == ("b", "c")


def test_the_schedule_says_what_the_prompts_show_in_one_basis_or_two(make: Make) -> None:
    turned = {"directions": {"answer": {"c": (0.5,)}}}
    base = make({"triage": "a"})
    one = make({"triage": "b"}, 0.2, parents=[base])
    for names in (("shop", "bank"), ("shop", "bank", "zoo")):
        other = make({"answer": "c"}, parents=[base], tasks=names, **turned)
        merged = fp.merge(one, other, base)
        assert any("by kind of task" in line for line in merged.record.notes) == (len(names) == 3)
        for name in names:
            own, place = other.tasks[name].view.embedding, merged.tasks[name].view.embedding
            wanted = Mixer(other.schedule).effects("answer", name, own, tuple("abcd"))
            found = Mixer(merged.schedule).effects("answer", name, place, tuple("abcd"))
            assert found.tolist() == pytest.approx(wanted.tolist(), abs=2e-5)


def test_models_go_with_their_nodes_and_more_than_there_can_be_are_refused(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    base = make({"triage": "a"})
    one = make({"triage": "b"}, parents=[base], model="openai/one")
    other = make({"triage": "a", "answer": "c"}, 0.2, parents=[base])
    merged = fp.merge(one, make({"triage": "a"}, 0.2, parents=[base]), base)
    assert model_identity(merged, "triage", "shop") == model_identity(one, "triage", "shop")
    added = make({"triage": "a"}, 0.2, parents=[base], tasks=["shop", "bank", "zoo"])
    with pytest.raises(ArtifactError, match="node 'triage' would need more models than a program can have"):
        fp.merge(one, added, base)
    merged = fp.merge(other, one, base)
    assert (merged.models["triage"].name, merged.models["answer"].name) == ("openai/one", "offline")


def test_an_item_that_one_side_changed_is_the_changed_one(make: Make) -> None:
    base = make({"triage": "a"})
    one = make({"triage": "b"}, 0.9, parents=[base])
    changed = [*hints("acd"), fp.Fragment("b", "Mind b twice.", facet="hint")]
    other = make({"triage": "a"}, parents=[base], items=changed)
    item = fp.merge(one, other, base).items["b"]
    assert isinstance(item, fp.Fragment) and item.text == "Mind b twice."


def test_what_does_not_come_from_one_program_is_refused(make: Make, tmp_path: Path) -> None:
    base, stranger = make({"triage": "a"}), make({"triage": "d"})
    one, other = make({"triage": "b"}, parents=[base]), make({"triage": "c"}, parents=[base])
    with pytest.raises(ArtifactError, match=r"no common ancestor: .*Compile one of them again with the other"):
        fp.merge(one, stranger, base)
    with pytest.raises(ArtifactError, match=rf"not the nearest .*expected {base.content_hash}, found"):
        fp.merge(one, other, stranger)
    later = make({"triage": "d"}, parents=[one])
    with pytest.raises(ArtifactError, match=rf"not the nearest .*expected {one.content_hash}"):
        fp.merge(later, one, base)
    assert shows(fp.merge(later, one, one), "shop", "triage") == "d"
    with pytest.raises(ArtifactError, match=rf"needs the base: expected the artifact {base.content_hash}"):
        fp.merge(one, other)


def test_the_base_is_found_in_a_registry(make: Make, tmp_path: Path) -> None:
    base = make({"triage": "a"})
    one, other = make({"triage": "b"}, parents=[base]), make({"answer": "c", "triage": "a"}, parents=[base])
    registry = fp.Registry(tmp_path / "registry")
    with pytest.raises(ArtifactError, match=r"does not have the program that both were made from.*Push it"):
        fp.merge(one, other, registry=registry)
    registry.push(base)
    merged = fp.merge(one, other, registry=str(tmp_path / "registry"))
    assert merged.content_hash == fp.merge(one, other, base).content_hash


def test_different_programs_are_refused_naming_what_differs(make: Make) -> None:
    base = make({"triage": "a"})
    one = make({"triage": "b"}, parents=[base])
    with pytest.raises(ArtifactMismatchError, match="answer: other instructions"):
        fp.merge(one, make(parents=[base], instructions="Be brief."), base)
    teams = task("shop", teams=["billing", "parcels"])
    with pytest.raises(ArtifactMismatchError) as caught:
        fp.merge(one, make(parents=[base], tasks=[teams, "bank"]), base)
    assert caught.value.differences == (
        "task shop, triage.team: label 'parcels' is new",
        "task shop, triage.team: label 'delivery' is gone",
    )
