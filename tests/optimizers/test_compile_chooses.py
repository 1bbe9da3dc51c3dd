"""What a compile chooses at nodes beside items: modules, whole nodes, constant inputs, models."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import fusionprog as fp
from fusionprog._internal.canonical import seed_of
from fusionprog.cli.main import cli
from fusionprog.errors import CallError, ProgramError

SAMPLERS = ("effects", "tpe", "random")


def luck(task: str, number: int, chance: int) -> bool:
    """Right on so many of ten cases."""
    return seed_of(task, number) % 10 < chance


class OneNode(fp.Program):
    """One node that names the team."""

    def __init__(self, module: fp.modules.Module) -> None:
        super().__init__()
        self.triage = module

    def forward(self, message: str) -> Any:
        """Names the team."""
        return {"team": self.triage(message=message).team}


class Second(fp.Signature):
    """Look at a team again."""

    message: str = fp.InputField()
    draft: str = fp.InputField()
    remark: str = fp.InputField()
    team: str = fp.OutputField()


class Remark(fp.Signature):
    """Say what is odd."""

    message: str = fp.InputField()
    reply: str = fp.OutputField()


class Repaired(fp.Program):
    """Triage, a remark, and a second look that the search may switch off; the remark is for that one alone."""

    def __init__(self, triage: Any, **more: Any) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(triage)
        self.remark = fp.modules.Predict(Remark)
        self.repair = fp.modules.Optional(fp.modules.Predict(Second), passthrough={"team": "draft"}, **more)

    def forward(self, message: str) -> Any:
        """Names the team and looks again."""
        draft = self.triage(message=message).team
        remark = self.remark(message=message).reply
        return {"team": self.repair(message=message, draft=draft, remark=remark).team}


class Draft(fp.Signature):
    """Say something about a message."""

    message: str = fp.InputField()
    reply: str = fp.OutputField()


class Searching(fp.Program):
    """A function of the program's input and a number that the search chooses, and a reply of a model."""

    def __init__(self, function: Callable[..., str]) -> None:
        super().__init__()
        self.look = fp.modules.Function(function, outputs={"team": str})
        self.draft = fp.modules.Predict(Draft)

    def forward(self, message: str) -> Any:
        """Looks the team up."""
        reply = self.draft(message=message).reply
        return {"team": self.look(message=message, k=fp.Choice(3, 5, 10)).team, "reply": reply}


def choosing(kit: Any, program: fp.Program, model: Any, tasks: Sequence[fp.Task] | None = None, **changes: Any) -> Any:
    settings: dict[str, Any] = {"pool": fp.PromptPool(), "budget": fp.Budget(calls=900), "trials": 12}
    tasks = [kit.task("shop")] if tasks is None else tasks
    return kit.compile(model, tasks, program=program, **{**settings, **changes})


def chosen(program: fp.CompiledProgram, node: str) -> dict[str, str]:
    return dict(program.schedule.nodes[node].choices)


# Modules.


def reasons(prompt: str, task: str, number: int) -> bool:
    return luck(task, number, 9 if "reasoning" in prompt else 3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_reasoning_is_chosen_where_it_helps(kit: Any, sampler: str) -> None:
    program = OneNode(fp.modules.Choose(fp.modules.Predict(kit.Triage), fp.modules.ChainOfThought(kit.Triage)))
    made = choosing(kit, program, kit.Scripted(reasons), sampler=sampler).program
    assert made.record.improved
    assert chosen(made, "triage") == {"module": "ChainOfThought"}
    assert "reasoning" in made.prompt(node="triage")[-1]["content"]


def test_reasoning_that_does_not_help_is_left_out(kit: Any) -> None:
    program = OneNode(fp.modules.Choose(fp.modules.Predict(kit.Triage), fp.modules.ChainOfThought(kit.Triage)))
    made = choosing(kit, program, kit.Scripted(lambda prompt, task, number: luck(task, number, 5))).program
    assert not made.record.improved
    assert "reasoning" not in made.prompt(node="triage")[-1]["content"]


# Whole nodes.


def spoils(prompt: str, task: str, number: int) -> bool:
    return luck(task, number, 3 if "Look at a team again" in prompt else 9)


def check_off_is_shown(made: fp.CompiledProgram, path: Path) -> None:
    """``show --prompt`` shows the prompts of the others."""
    made.save(path)
    lines = CliRunner().invoke(cli, ["show", str(path), "--prompt"]).output.splitlines()
    assert "shop · triage · system" in lines and "shop · repair · switched off" in lines
    data = json.loads(CliRunner().invoke(cli, ["show", str(path), "--prompt", "--json"]).output)
    assert {each["node"]: bool(each["messages"]) for each in data}["repair"] is False
    with pytest.raises(CallError, match="node 'repair' is switched off"):
        made.prompt(node="repair")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_node_that_hurts_is_switched_off(kit: Any, sampler: str, tmp_path: Path) -> None:
    model = kit.Scripted(spoils)
    task = kit.task("shop", labels={node: list(kit.TEAMS["shop"]) for node in ("triage.team", "repair.team")})
    made = choosing(kit, Repaired(kit.Triage), model, [task], sampler=sampler, budget=fp.Budget(calls=1800)).program
    assert made.record.improved
    assert chosen(made, "repair")["node"] == "off"
    check_off_is_shown(made, tmp_path / "desk.json")
    model.seen.clear()
    assert made(message="Please see to case-shop-test-0.").team == "billing"
    assert len(model.seen) == 1, "neither the node that is off nor what only it reads is asked"
    cost = made.record.tasks["shop"].cost
    assert 2 * cost["after"]["tokens"] < cost["before"]["tokens"]


def test_a_node_that_helps_stays_on(kit: Any) -> None:
    def mends(prompt: str, task: str, number: int) -> bool:
        return luck(task, number, 9 if "Look at a team again" in prompt else 3)

    task = kit.task("shop", labels={node: list(kit.TEAMS["shop"]) for node in ("triage.team", "repair.team")})
    made = choosing(kit, Repaired(kit.Triage), kit.Scripted(mends), [task], budget=fp.Budget(calls=1800)).program
    prediction = made(message="Please see to case-shop-test-0.")
    assert "remark.reply" in prediction


# Constant inputs.


TEAM = fp.Metric(lambda example, prediction: prediction.team == example.team, fields=["team", "reply"], name="team")


def look(message: str, k: int) -> str:
    """Finds the right team where it looks at five."""
    number = int(message.rstrip(".").rpartition("-")[2])
    teams = ("billing", "delivery", "returns")
    return teams[number % 3 if luck("shop", number, {3: 3, 5: 9, 10: 5}[k]) else (number + 1) % 3]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_right_constant_is_chosen(kit: Any, sampler: str, tmp_path: Path) -> None:
    task = kit.task("shop", labels=None, metric=TEAM)
    made = choosing(kit, Searching(look), kit.Scripted(), [task], sampler=sampler).program
    assert made.record.improved
    assert chosen(made, "look") == {"arg.k": "5"}
    made.save(tmp_path / "made.json")
    loaded = fp.load(tmp_path / "made.json", functions={"look": look}, lm=kit.Scripted())
    for number in range(6):
        message = f"Please see to case-shop-test-{number}."
        assert loaded(message=message).team == made(message=message).team == look(message, 5)


# Models.


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_better_model_is_chosen_and_recorded(kit: Any, sampler: str, tmp_path: Path) -> None:
    weak = kit.Scripted(lambda prompt, task, number: luck(task, number, 3), name="weak")
    strong = kit.Scripted(lambda prompt, task, number: luck(task, number, 9), name="strong")
    program = OneNode(fp.modules.Predict(kit.Triage))
    made = choosing(kit, program, None, lm={"triage": [weak, strong]}, sampler=sampler).program
    assert made.record.improved
    assert chosen(made, "triage")["lm"] == "strong"
    assert made.models == {"triage": strong} and made.record.models == {"triage": "strong"}
    made.save(tmp_path / "made.json")
    data = json.loads((tmp_path / "made.json").read_text())
    assert data["lm"]["triage"]["model"] == "strong" and "lm_as_written" not in data


@pytest.mark.parametrize("sampler", ["effects", "tpe"])
def test_of_models_that_are_as_good_the_cheaper_one_is_chosen(kit: Any, sampler: str) -> None:
    def priced(name: str, usd: float) -> Any:
        return kit.Scripted(
            lambda prompt, task, number: luck(task, number, 6), name=name, usd_per_token=(usd, usd), free=False
        )

    dear, cheap = priced("dear", 1e-5), priced("cheap", 1e-6)
    program = OneNode(fp.modules.Predict(kit.Triage))
    made = choosing(kit, program, None, lm=fp.Choice(dear, cheap), sampler=sampler).program
    assert made.models == {"triage": cheap}
    assert made.record.tasks["shop"].confirmation.gain == 0.0, "scores are reported as they are"
    other = choosing(kit, program, None, lm=fp.Choice(cheap, dear), sampler=sampler).program
    assert other.models == {"triage": cheap}


def test_a_dearer_model_must_gain_what_it_costs(kit: Any) -> None:
    """Two right answers more in ten are not worth it where an answer costs as much as three."""

    def priced(name: str, chance: int, usd: float) -> Any:
        return kit.Scripted(
            lambda prompt, task, number: luck(task, number, chance), name=name, usd_per_token=(usd, usd), free=False
        )

    program = OneNode(fp.modules.Predict(kit.Triage))
    offers = [priced("cheap", 5, 0.0), priced("dear", 7, 3e-4)]
    made = choosing(kit, program, None, lm=offers, trials=16).program
    assert not made.record.improved and made.record.models == {"triage": "cheap"}


@pytest.mark.parametrize("sampler", ["effects", "tpe"])
@pytest.mark.parametrize("unpriced", ["first", "second"])
def test_a_model_without_a_price_is_not_taken_for_a_free_one(kit: Any, sampler: str, unpriced: str) -> None:
    """Both are right on as many rows, so that nothing speaks for either; a dollar an answer would."""

    def model(name: str) -> Any:
        usd = None if name == unpriced else (1e-2, 1e-2)
        return kit.Scripted(
            lambda prompt, task, number: luck(task, number, 5), name=name, usd_per_token=usd, free=False
        )

    program = OneNode(fp.modules.Predict(kit.Triage))
    made = choosing(kit, program, None, lm=[model("first"), model("second")], sampler=sampler).program
    assert not made.record.improved and made.record.models == {"triage": "first"}
    notes = [note for note in made.record.notes if "without what they cost" in note]
    assert notes == [f"the price of {unpriced} is unknown: models are compared without what they cost"]


def test_a_task_that_is_left_as_written_keeps_its_model(kit: Any, tmp_path: Path) -> None:
    first = kit.Scripted(lambda prompt, task, number: luck(task, number, 3 if task == "shop" else 9), name="first")
    second = kit.Scripted(lambda prompt, task, number: luck(task, number, 9 if task == "shop" else 6), name="second")
    program = OneNode(fp.modules.Predict(kit.Triage))
    tasks = [kit.task("shop"), kit.task("bank")]
    made = choosing(kit, program, None, tasks, lm=[first, second]).program
    assert made.schedule.as_written == ("bank",)
    assert (made.models, made.models_as_written) == ({"triage": second}, {"triage": first})
    first.seen.clear(), second.seen.clear()
    made("bank", message="case-bank-test-1")
    assert (len(first.seen), len(second.seen)) == (1, 0)
    made("shop", message="case-shop-test-1")
    assert (len(first.seen), len(second.seen)) == (1, 1)

    made.save(tmp_path / "made.json")
    loaded = fp.load(tmp_path / "made.json")
    assert {node: model.name for node, model in loaded.models_as_written.items()} == {"triage": "first"}
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "made.json").read_bytes()
    moved = loaded.with_models({"triage": second})
    assert moved.models_in("bank") == {"triage": second}


def test_a_program_in_which_nothing_asks_a_model_is_refused(kit: Any) -> None:
    with pytest.raises(ProgramError, match="nothing to search with"):
        choosing(kit, Searching(look), kit.Scripted(), [kit.task("shop", labels=None)])


# All of them.


def test_a_frozen_node_keeps_its_first_options(kit: Any) -> None:
    weak = kit.Scripted(reasons, name="weak")
    strong = kit.Scripted(lambda prompt, task, number: True, name="strong")

    class Two(fp.Program):
        """Two nodes with the same choices; one is frozen."""

        def __init__(self) -> None:
            super().__init__()
            self.triage = fp.modules.Choose(fp.modules.Predict(kit.Triage), fp.modules.ChainOfThought(kit.Triage))
            self.other = fp.modules.Predict(Remark)

        def forward(self, message: str) -> Any:
            """Names the team and says something."""
            return {"team": self.triage(message=message).team, "reply": self.other(message=message).reply}

    task = kit.task("shop", metric=TEAM)
    made = choosing(kit, Two(), None, [task], lm=[weak, strong], freeze=["triage"]).program
    assert "triage" not in made.schedule.nodes
    assert made.models["triage"] is weak


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_constant_alone_can_be_searched(kit: Any, sampler: str) -> None:
    task = kit.task("shop", labels=None, metric=TEAM)
    made = choosing(kit, Searching(look), kit.Scripted(), [task], sampler=sampler, freeze=["draft"]).program
    assert list(made.schedule.nodes) == ["look"] and chosen(made, "look") == {"arg.k": "5"}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_compile_gives_the_same_bytes_at_any_concurrency(kit: Any, sampler: str, tmp_path: Path) -> None:
    files = []
    for number, concurrency in enumerate((1, 16)):
        model, dear = kit.Scripted(reasons), kit.Scripted(reasons, name="dear", usd_per_token=(1e-6, 1e-6), free=False)
        model.waits = lambda count: count % 3
        module = fp.modules.Choose(fp.modules.Predict(kit.Triage), fp.modules.ChainOfThought(kit.Triage))
        made = choosing(
            kit, OneNode(module), None, lm=[model, dear], pool=kit.pool(), sampler=sampler, concurrency=concurrency
        ).program
        made.save(tmp_path / f"{number}.json")
        files.append((tmp_path / f"{number}.json").read_bytes())
    assert files[0] == files[1]


def test_a_compile_goes_on_from_the_store_without_a_call(kit: Any, tmp_path: Path) -> None:
    module = fp.modules.Choose(fp.modules.Predict(kit.Triage), fp.modules.ChainOfThought(kit.Triage))
    models = [kit.Scripted(reasons, name="one"), kit.Scripted(reasons, name="two")]
    storage = str(tmp_path / "kept.db")
    first = choosing(kit, OneNode(module), None, lm=models, storage=storage).program
    for model in models:
        model.seen.clear()
    second = choosing(kit, OneNode(module), None, lm=models, storage=storage).program
    assert all(not model.seen for model in models)
    assert second.schedule == first.schedule and second.record == first.record


def test_what_is_on_offer_is_part_of_the_study(kit: Any) -> None:
    plain = OneNode(fp.modules.Predict(kit.Triage))
    module = fp.modules.Choose(fp.modules.Predict(kit.Triage), fp.modules.ChainOfThought(kit.Triage))
    one, two = kit.Scripted(name="one"), kit.Scripted(name="two")
    prints = {
        choosing(kit, program, None, lm=lm, trials=1).program.record.fingerprint
        for program, lm in ((plain, one), (OneNode(module), one), (plain, [one, two]), (OneNode(module), [one, two]))
    }
    assert len(prints) == 4


def test_a_budget_in_dollars_holds_whatever_model_is_chosen(kit: Any) -> None:
    cheap = kit.Scripted(reasons, name="cheap", usd_per_token=(1e-6, 1e-6), free=False, max_output_tokens=10)
    dear = kit.Scripted(reasons, name="dear", usd_per_token=(2e-5, 2e-5), free=False, max_output_tokens=10)
    program = OneNode(fp.modules.Predict(kit.Triage))
    made = choosing(kit, program, None, lm=[cheap, dear], budget=fp.Budget(usd=2.0), trials=None).program
    assert 0 < made.record.spent["usd"] <= 2.0
    assert cheap.seen and dear.seen
