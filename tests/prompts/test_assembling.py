"""A schedule that is put together from others does, at every node in every task, what the one does that it is from."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fusionprog.prompts.assembling import assembled, of_node, of_task, without_directions
from fusionprog.prompts.schedule import Mixer, NodeSettings, Schedule

NODES, TASKS, ITEMS = ("m", "n"), ("s", "t"), ("a", "b")
PLACES = {"s": (1.0, -0.5), "t": (0.25, 2.0), "new": (0.5, 0.5)}
effects = st.integers(-9, 9).map(lambda number: number / 16)


def table(inner: st.SearchStrategy[object], names: tuple[str, ...]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(names), inner)


leaves = st.builds(
    Schedule,
    everywhere=table(effects, ITEMS),
    at_node=table(table(effects, ITEMS), NODES),
    directions=table(table(st.tuples(effects, effects), ITEMS), NODES),
    in_task=table(table(table(effects, ITEMS), NODES), TASKS),
    nodes=table(st.builds(NodeSettings, choices=st.sampled_from([{}, {"lm": "x"}])), NODES),
    as_written=st.lists(st.sampled_from(TASKS), unique=True).map(tuple),
)
schedules = st.recursive(
    leaves,
    lambda inner: st.tuples(leaves, table(inner, TASKS), table(inner, NODES)).map(
        lambda parts: Schedule(**{**vars(parts[0]), "by_task": parts[1], "by_node": parts[2]})
    ),
    max_leaves=6,
)


def does(schedule: Schedule, node: str, task: str) -> object:
    found = Mixer(schedule).effects(node, task, PLACES[task], ITEMS).tolist()
    return found, schedule.settings(node, task), schedule.picks(task).get(node, {})


def depth(schedule: Schedule) -> int:
    inner = [*schedule.by_task.values(), *schedule.by_node.values()]
    return max((1 + depth(each) for each in inner), default=0)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(schedules, schedules),
    st.integers(0, 1),
    st.fixed_dictionaries({node: st.integers(0, 1) for node in NODES}),
    st.fixed_dictionaries({task: st.sampled_from([None, 0, 1]) for task in TASKS}),
)
def test_every_node_follows_what_it_was_given_in_every_task(
    two: tuple[Schedule, Schedule], outer: int, nodes: dict[str, int], tasks: dict[str, int | None]
) -> None:
    def side(node: str, task: str) -> int:
        whole = tasks[task]
        return nodes[node] if whole is None else whole

    made = assembled(
        two[outer],
        {node: of_node(two[at], node) for node, at in nodes.items()},
        {task: of_task(two[outer if whole is None else whole], task) for task, whole in tasks.items()},
        lambda node, task: two[side(node, task)].of(node, task),
    )
    for node in NODES:
        for task in TASKS:
            assert does(made, node, task) == does(two[side(node, task)], node, task), (node, task)
        followed = Mixer(of_node(two[nodes[node]], node)).effects(node, "new", PLACES["new"], ITEMS)
        assert Mixer(made).effects(node, "new", PLACES["new"], ITEMS).tolist() == followed.tolist()
    assert depth(made) <= 2


@settings(max_examples=50, deadline=None)
@given(schedules)
def test_without_directions_known_tasks_have_the_same_effects(schedule: Schedule) -> None:
    places = {task: PLACES[task] for task in TASKS}
    made = without_directions(schedule, places)
    for node in NODES:
        for task in TASKS:
            assert does(made, node, task) == does(schedule, node, task)
            assert not made.of(node, task).directions
