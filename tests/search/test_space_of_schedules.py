"""What a trial's parameters mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from hypothesis import given
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.prompts.items import FACETS, Facet, Item
from fusionprog.prompts.mixture import CAPS, Mixture
from fusionprog.prompts.schedule import FORMATS
from fusionprog.search.preflight import Job, preflight
from fusionprog.search.space import Space, make_space
from fusionprog.search.views import make_scorers

TEXTS: dict[str, Item] = {
    item.id: item
    for item in (
        fp.Fragment("expert", "You are an expert.", facet="role"),
        fp.Fragment("guide", "A parcel is an order.", facet="hint"),
        fp.Fragment("terms", "A card is a debit card.", facet="hint"),
        fp.Fragment("tone", "Stay polite.", facet="hint"),
        fp.Fragment("short", "Be brief.", facet="constraint"),
        fp.DemoSet("shown", [{"message": "hello", "team": "a"}] * 8, node="triage"),
    )
}
OFFERED: dict[str, Any] = {key: getattr(item, "demos", None) or str(item.key_text) for key, item in TEXTS.items()}
SPACE = Space(
    items={"triage": TEXTS, "answer": {"short": TEXTS["short"]}},
    directions={"expert": (0.6, 0.8), "guide": (0.0, 0.0), "short": ()},
)


def drawn(space: Space, seed: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return study.ask(space.distributions).params


def params(**changes: Any) -> dict[str, Any]:
    """All items shut, but for what is given with ``__`` in place of dots."""
    made = SPACE.start({}, wide=True)
    made.update({name.replace("__", "."): value for name, value in changes.items()})
    return made


def mixture(given_params: Mapping[str, Any], node: str = "triage", embedding: tuple[float, ...] = ()) -> Mixture:
    return SPACE.schedule(given_params).mixture(node, "shop", embedding, TEXTS, OFFERED)


def chosen(given_params: Mapping[str, Any], facet: Facet, embedding: tuple[float, ...] = ()) -> list[str]:
    return [each.id for each in mixture(given_params, embedding=embedding).chosen(facet)]


def test_parameters_are_named_for_node_facet_and_item() -> None:
    assert set(SPACE.distributions) == {
        *(f"triage.{item.facet}.{key}" for key, item in TEXTS.items()),
        *(f"triage.{facet}" for facet in ("role", "hint", "constraint", "demos")),
        "triage.temperature",
        "triage.affinity",
        "triage.format",
        "answer.constraint.short",
        "answer.constraint",
        "answer.temperature",
        "answer.format",
    }


def test_a_node_has_an_affinity_only_where_an_item_has_a_direction() -> None:
    assert "triage.affinity" in SPACE.distributions
    assert "answer.affinity" not in SPACE.distributions  # its one item has none


def test_a_text_gate_counts_items() -> None:
    some = {"triage.hint.guide": 0.9, "triage.hint.terms": 0.8, "triage.hint.tone": 0.7, "triage.temperature": 3.0}
    for count in range(CAPS["hint"] + 1):
        assert len(chosen({**params(), **some, "triage.hint": count}, "hint")) == count
    assert chosen({**params(), **some, "triage.hint": 1}, "hint") == ["guide"]


def test_a_demonstration_gate_moves_in_quarters_of_the_cap() -> None:
    for quarters in range(5):
        made = params(triage__demos__shown=1.0, triage__demos=quarters)
        (shown,) = mixture(made).facets["demos"]
        assert shown.amount == min(8, quarters * CAPS["demos"] // 4)


def test_an_item_is_in_only_where_its_effect_is_above_zero() -> None:
    assert chosen(params(triage__hint__guide=0.4, triage__hint=3), "hint") == ["guide"]
    assert chosen(params(triage__hint__guide=0.0, triage__hint=3), "hint") == []
    assert chosen(params(triage__hint__guide=-0.4, triage__hint=3), "hint") == []


def test_a_low_temperature_takes_the_best_item_and_a_high_one_all() -> None:
    some = {"triage.hint.guide": 0.9, "triage.hint.terms": 0.5, "triage.hint": 3}
    assert chosen({**params(), **some, "triage.temperature": 0.05}, "hint") == ["guide"]
    assert chosen({**params(), **some, "triage.temperature": 3.0}, "hint") == ["guide", "terms"]


def test_affinity_adds_the_direction_seen_from_the_task() -> None:
    made = params(triage__role__expert=-0.3, triage__role=1, triage__affinity=0.5)
    assert chosen(made, "role", embedding=(1.0, 1.0)) == ["expert"]  # -0.3 + 0.5 * (0.6 + 0.8)
    assert chosen(made, "role", embedding=(-1.0, -1.0)) == []
    assert chosen({**made, "triage.affinity": 0.0}, "role", embedding=(1.0, 1.0)) == []


def test_the_format_is_the_nodes_own() -> None:
    schedule = SPACE.schedule(params(triage__format="xml"))
    assert schedule.settings("triage", "shop").format == "xml"
    assert schedule.settings("answer", "shop").format == "chat"


@given(st.integers(0, 10_000))
def test_every_draw_is_a_schedule_with_gates_in_the_unit_interval(seed: int) -> None:
    schedule = SPACE.schedule(drawn(SPACE, seed))
    for settings in schedule.nodes.values():
        assert all(0 <= gate <= 1 for gate in settings.gates.values())
        assert settings.temperature > 0
        assert settings.format in FORMATS
    assert schedule.everywhere == {} and schedule.in_task == {} and schedule.as_written == ()


@given(st.integers(0, 10_000))
def test_a_schedule_holds_numbers_of_five_digits(seed: int) -> None:
    schedule = SPACE.schedule(drawn(SPACE, seed))
    numbers = [effect for effects in schedule.at_node.values() for effect in effects.values()]
    numbers += [each for node in schedule.directions.values() for vector in node.values() for each in vector]
    numbers += [settings.temperature for settings in schedule.nodes.values()]
    assert numbers == [round(number, 5) for number in numbers]


def test_only_items_with_a_direction_get_one() -> None:
    schedule = SPACE.schedule(params(triage__affinity=0.5))
    assert schedule.directions == {"triage": {"expert": (0.3, 0.4)}, "answer": {}}
    assert SPACE.schedule(params()).directions == {"triage": {}, "answer": {}}


EFFECTS = st.dictionaries(
    st.sampled_from([(node, key) for node, items in SPACE.items.items() for key in items]),
    st.floats(-2, 2, allow_nan=False).map(lambda effect: round(effect, 2)),
)


@given(EFFECTS, st.booleans())
def test_a_start_fits_the_distributions(effects: dict[tuple[str, str], float], wide: bool) -> None:
    made = SPACE.start(effects, wide=wide)
    assert set(made) == set(SPACE.distributions)
    for name, value in made.items():
        distribution = SPACE.distributions[name]
        assert distribution._contains(distribution.to_internal_repr(value)), name


@given(EFFECTS)
def test_a_wide_start_lets_every_helpful_item_in_and_no_other(effects: dict[tuple[str, str], float]) -> None:
    made = SPACE.schedule(SPACE.start(effects, wide=True))
    for node, items in SPACE.items.items():
        offered = {key: OFFERED[key] for key in items}
        result = made.mixture(node, "shop", (1.0, 1.0), TEXTS, offered)
        opened = {each.id for facet in FACETS for each in result.facets[facet] if each.open}
        assert opened == {key for key in items if effects.get((node, key), 0.0) > 0}


@given(EFFECTS)
def test_a_narrow_start_takes_a_best_item_of_each_facet(effects: dict[tuple[str, str], float]) -> None:
    made = mixture(SPACE.start(effects, wide=False))
    for facet in ("role", "hint", "constraint"):
        helpful = {key: effects.get(("triage", key), 0.0) for key, item in TEXTS.items() if item.facet == facet}
        best = max(helpful.values())
        taken = [each.id for each in made.chosen(facet)]
        assert bool(taken) == (best > 0)
        if taken:
            assert helpful[taken[0]] == best


def test_a_wide_start_is_diverse_and_a_narrow_one_is_not() -> None:
    effects = {("triage", "guide"): 0.09, ("triage", "terms"): 0.08, ("triage", "tone"): 0.07}
    assert chosen(SPACE.start(effects, wide=True), "hint") == ["guide", "terms", "tone"]
    assert chosen(SPACE.start(effects, wide=False), "hint") == ["guide"]


def test_without_effects_a_start_is_the_program_as_written() -> None:
    for wide in (True, False):
        made = mixture(SPACE.start({}, wide=wide))
        assert not any(made.chosen(facet) for facet in FACETS)


def test_a_single_opens_one_item_at_one_node() -> None:
    schedule = SPACE.single("triage", "guide")
    triage = schedule.mixture("triage", "shop", (1.0, 0.0), TEXTS, OFFERED)
    answer = schedule.mixture("answer", "shop", (1.0, 0.0), TEXTS, OFFERED)
    assert [each.id for facet in FACETS for each in triage.chosen(facet)] == ["guide"]
    assert not any(answer.chosen(facet) for facet in FACETS)


def job_of(program: fp.Program, tasks: list[fp.Task], pool: fp.PromptPool, freeze: tuple[str, ...] = ()) -> Job:
    return preflight(program, tasks, pool=pool, lm="offline", budget=None, trials=8, freeze=freeze, seed=0)


def space_of(job: Job) -> Space:
    views = {name: scorer.view for name, scorer in make_scorers(job, {}).items()}
    return make_space(job, views, {item.id: item for item in job.pool})


def test_the_number_of_parameters_does_not_grow_with_the_tasks(
    desk_program: fp.Program, desk_tasks: list[fp.Task]
) -> None:
    shop, bank = desk_tasks
    pool = fp.PromptPool([fp.builders.LabelGlossary(words=4), fp.Fragment("short", "Be brief.", facet="constraint")])
    more = [
        fp.Task(
            f"bank{index}",
            domain=f"domain {index}",
            description=f"Another kind of bank, number {index}.",
            labels=bank.labels,
            train=bank.train,
            val=bank.val,
            metric=bank.metric,
        )
        for index in range(4)
    ]
    two = space_of(job_of(desk_program, [shop, bank], pool)).distributions
    six = space_of(job_of(desk_program, [shop, bank, *more], pool)).distributions
    assert set(two) == set(six)
    assert "triage.affinity" in two


def test_one_task_has_no_kinds_of_task(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    pool = fp.PromptPool([fp.builders.LabelGlossary(words=4)])
    space = space_of(job_of(desk_program, desk_tasks[:1], pool))
    assert "triage.affinity" not in space.distributions


def test_items_in_play_are_those_on_offer_less_pinned_and_frozen_ones(
    desk_program: fp.Program, desk_tasks: list[fp.Task]
) -> None:
    pool = fp.PromptPool(
        [
            fp.Fragment("open", "Read twice.", facet="instruction"),
            fp.Fragment("banks-only", "A card is a debit card.", facet="hint", domains=["banking"]),
            fp.Fragment("elsewhere", "A bed is a room.", facet="hint", domains=["travel"]),
            fp.Fragment("for-answer", "Two sentences.", facet="constraint", nodes=["answer"]),
            fp.Fragment("must", "Never swear.", facet="constraint", pinned=True),
            fp.Fragment("left-alone", "Take your time.", facet="pattern"),
        ]
    )
    space = space_of(job_of(desk_program, desk_tasks, pool, freeze=("left-alone",)))
    assert {node: set(items) for node, items in space.items.items()} == {"triage": {"open", "banks-only"}}


def test_an_empty_pool_leaves_the_format_to_search(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    space = space_of(job_of(desk_program, desk_tasks, fp.PromptPool()))
    assert set(space.distributions) == {"triage.temperature", "triage.format"}
    assert space.schedule(space.start({}, wide=True)).settings("triage", "shop").format == "chat"
