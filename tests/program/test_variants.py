"""The graphs that run under picks, and which picks matter."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.program.graph import Constant, FieldRef
from fusionprog.program.variants import chosen_graph, options_of, picks_that_matter


def look(query: str, k: int, style: str) -> str:
    return query * k + style


class Chained(fp.Program):
    """A draft, a remark on it, and a repair that reads both and may be off."""

    def __init__(self) -> None:
        super().__init__()
        self.look = fp.modules.Function(look, outputs={"found": str})
        self.draft = fp.modules.Choose(fp.modules.Predict("found -> text"), fp.modules.ChainOfThought("found -> text"))
        self.remark = fp.modules.Predict("text -> remark")
        self.repair = fp.modules.Optional(
            fp.modules.Choose(
                fp.modules.Predict("text, remark, tone -> better"),
                fp.modules.ChainOfThought("text, remark, tone -> better"),
            ),
            passthrough={"better": "text"},
        )

    def forward(self, query: str) -> Any:
        found = self.look(query=query, k=fp.Choice(3, 5, 10), style=fp.Choice("a", "b")).found
        text = self.draft(found=found).text
        remark = self.remark(text=text).remark
        return {"better": self.repair(text=text, remark=remark, tone=fp.Choice("kind", "dry")).better}


GRAPH = Chained().graph()
OPTIONS = {name: options_of(node) for name, node in GRAPH.nodes.items()}
PICKS = st.fixed_dictionaries(
    {},
    optional={
        node: st.fixed_dictionaries({}, optional={choice: st.sampled_from(mine) for choice, mine in choices.items()})
        for node, choices in OPTIONS.items()
    },
)


def test_what_there_is_to_choose_is_named_with_the_first_as_written() -> None:
    assert OPTIONS == {
        "look": {"arg.k": ("3", "5", "10"), "arg.style": ('"a"', '"b"')},
        "draft": {"module": ("Predict", "ChainOfThought")},
        "remark": {},
        "repair": {"node": ("on", "off"), "module": ("Predict", "ChainOfThought"), "arg.tone": ('"kind"', '"dry"')},
    }


def test_picks_are_put_in_their_place() -> None:
    graph = chosen_graph(GRAPH, {"look": {"arg.k": "5"}, "draft": {"module": "ChainOfThought"}})
    assert graph.nodes["look"].sources["k"] == Constant(5)
    assert graph.nodes["look"].sources["style"] == Constant("a")
    assert type(graph.nodes["draft"].module) is fp.modules.ChainOfThought
    assert GRAPH.nodes["look"].sources["k"] == Constant(3, (5, 10)), "the graph as written stays as it is"


def test_a_node_that_is_off_needs_only_what_it_passes_on() -> None:
    graph = chosen_graph(GRAPH, {"repair": {"node": "off"}})
    assert graph.needed([FieldRef("repair", "better")]) == ("look", "draft", "repair")
    assert GRAPH.needed([FieldRef("repair", "better")]) == ("look", "draft", "remark", "repair")


def test_picks_that_another_pick_takes_out_do_not_matter() -> None:
    picks = {"repair": {"node": "off", "module": "ChainOfThought", "arg.tone": '"dry"'}, "gone": {"node": "off"}}
    assert picks_that_matter(GRAPH, picks) == {"repair": {"node": "off"}}
    assert picks_that_matter(GRAPH, {"look": {"arg.k": "3"}, "repair": {"node": "on", "module": "Predict"}}) == {}


@given(PICKS)
def test_a_variant_has_nothing_to_choose_and_depends_only_on_picks_that_matter(picks: Any) -> None:
    graph = chosen_graph(GRAPH, picks)
    assert not any(options_of(node) for node in graph.nodes.values())
    same = chosen_graph(GRAPH, picks_that_matter(GRAPH, picks))
    for name, node in graph.nodes.items():
        assert node.module is same.nodes[name].module
        assert node.sources == same.nodes[name].sources


@given(PICKS)
def test_picks_that_matter_are_those_that_matter(picks: Any) -> None:
    mattering = picks_that_matter(GRAPH, picks)
    assert picks_that_matter(GRAPH, mattering) == mattering
    for node, mine in mattering.items():
        assert all(option in OPTIONS[node][choice][1:] for choice, option in mine.items())
