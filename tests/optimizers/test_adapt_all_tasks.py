"""``adapt`` of all tasks together: with new ones among them, and on another model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog._internal.canonical import seed_of
from fusionprog.errors import BudgetError, DataError, FusionProgError, ProgramError

TONE = "Mind the tone of the message."
Right = Callable[[str, str, int], bool]


def right_by(kit: Any, chances: Callable[[bool, bool, str], int]) -> Right:
    """A model that is right in as many of ten cases as the hints in its prompt and the task make it."""

    def right(prompt: str, task: str, number: int) -> bool:
        return seed_of(task, number) % 10 < chances(kit.GOOD in prompt, TONE in prompt, task)

    return right


def compiled(kit: Any, model: Any, *tasks: fp.Task, calls: int = 400, **more: Any) -> fp.CompiledProgram:
    pool = kit.pool(fp.Fragment("tone", TONE, facet="hint"), useless=2)
    given = {"pool": pool, "lm": model, "budget": fp.Budget(calls=calls), "progress": False, **more}
    return fp.compile(kit.Desk(), list(tasks), **given)


def shown(program: fp.CompiledProgram, task: str, node: str = "triage") -> str:
    return json.dumps(program.prompt(task, node=node))


def both_help(good: bool, tone: bool, task: str) -> int:
    return 3 + 4 * good + 3 * (tone and task == "bank")


def test_a_joint_search_takes_in_a_task_and_says_what_became_of_the_others(kit: Any, tmp_path: Path) -> None:
    model = kit.Scripted(right_by(kit, both_help))
    program = compiled(kit, model, kit.task("shop"))
    joint = program.adapt([kit.task("shop"), kit.task("bank")], joint=True, budget=fp.Budget(calls=600), progress=False)
    assert all(kit.GOOD in shown(joint, task) for task in ("shop", "bank"))
    growth = joint.record.growth
    assert growth is not None and growth.stages == ("as written", "before", "after")
    assert growth.learned_in == {"shop": 1, "bank": 2}
    assert growth.average is not None and growth.average > 0.6
    assert growth.backward is not None and growth.backward >= -0.02
    assert growth.forward is not None and growth.forward > 0.2  # what the hint does at once
    for task, record in joint.record.tasks.items():
        assert record.replaced is not None and record.confirmation is not None
        assert record.replaced.after == record.confirmation.after
        assert growth.scores[1][task] == record.replaced.before.mean
    assert joint.record.spent["calls"] <= 600
    joint.save(tmp_path / "joint.json")
    loaded = fp.load(tmp_path / "joint.json", lm=model)
    assert loaded.record.growth is not None
    assert loaded.record.growth.learned_in == growth.learned_in
    assert shown(loaded, "bank") == shown(joint, "bank")


def test_a_task_that_would_fall_goes_on_with_what_it_had(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found for both is forced to be what harms the first."""
    helps = right_by(
        kit, lambda good, tone, task: 5 + 4 * (good if task == "shop" else tone) - 4 * (tone and task == "shop")
    )
    model = kit.Scripted(helps)
    program = compiled(kit, model, kit.task("shop"))
    assert kit.GOOD in shown(program, "shop") and TONE not in shown(program, "shop")

    from fusionprog.optimizers import fusion
    from fusionprog.prompts.items import FACETS
    from fusionprog.prompts.schedule import NodeSettings, Schedule

    harms = Schedule(everywhere={"tone": 0.5}, nodes={"triage": NodeSettings(1.0, dict.fromkeys(FACETS, 1.0))})

    async def narrowed(*args: Any, **how: Any) -> list[Schedule]:
        return [harms]

    monkeypatch.setattr(fusion, "narrow", narrowed)
    joint = program.adapt([kit.task("shop"), kit.task("bank")], joint=True, budget=fp.Budget(calls=600), progress=False)
    assert shown(joint, "shop") == shown(program, "shop")
    assert TONE in shown(joint, "bank")
    assert joint.record.growth is not None and joint.record.growth.backward == 0.0
    assert any("than what was known before" in note and "shop" in note for note in joint.record.notes)


def test_on_another_model_prompts_are_chosen_again_and_what_is_lost_and_regained_is_said(kit: Any) -> None:
    first = kit.Scripted(right_by(kit, lambda good, tone, task: 3 + 6 * good - 3 * tone))
    other = kit.Scripted(right_by(kit, lambda good, tone, task: 4 - 2 * good + 5 * tone), name="other")
    tasks = [kit.task("shop"), kit.task("bank")]
    program = compiled(kit, first, *tasks)
    assert kit.GOOD in shown(program, "shop")
    ported = program.adapt(tasks, lm=other, budget=fp.Budget(calls=700), progress=False)
    assert TONE in shown(ported, "shop") and kit.GOOD not in shown(ported, "shop")
    for record in ported.record.tasks.values():
        assert record.replaced is not None and record.confirmation is not None
        assert record.replaced.gain > 0.3  # against the prompts of the first model
        assert record.confirmation.gain > 0.2
    assert ported.models["triage"].name == "other"
    lost, regained = ported.record.notes[-3:-1]
    for line, task in ((lost, "shop"), (regained, "bank")):
        assert line.startswith(f"{task}: 0.") and "here with the same prompts (-" in line and " now (+" in line
    assert ported.record.lineage.parents[0].change == "other models or code at triage, answer"


def test_a_task_that_goes_on_has_the_labels_that_it_is_given_now(kit: Any) -> None:
    program = compiled(kit, kit.Scripted(), kit.task("shop"))
    more = kit.task("shop", labels={"triage.team": [*kit.TEAMS["shop"], "lost and found"]})
    other = program.adapt([more], lm=kit.Scripted(name="other"), budget=fp.Budget(calls=200), progress=False)
    joint = program.adapt([more], joint=True, budget=fp.Budget(calls=200), progress=False)
    assert "lost and found" in shown(other, "shop") and "lost and found" in shown(joint, "shop")


def test_the_same_model_is_asked_nothing(kit: Any) -> None:
    model = kit.Scripted()
    tasks = [kit.task("shop")]
    program = compiled(kit, model, *tasks)
    before = len(model.seen)
    same = program.adapt(tasks, lm=model, budget=fp.Budget(calls=300), progress=False)
    assert len(model.seen) == before
    assert shown(same, "shop") == shown(program, "shop")


@pytest.mark.parametrize("changed", ["triage", "answer"])
def test_a_node_that_no_metric_reads_goes_on_as_it_is(kit: Any, changed: str) -> None:
    """The metric reads the first node alone; the second one is after it."""
    first = kit.Scripted(right_by(kit, lambda good, tone, task: 3 + 6 * good - 3 * tone))
    other = kit.Scripted(right_by(kit, lambda good, tone, task: 4 - 2 * good + 5 * tone), name="other")
    program = compiled(kit, first, kit.task("shop"))
    models = {"triage": first, "answer": first, changed: other}
    ported = program.adapt([kit.task("shop")], lm=models, budget=fp.Budget(calls=300), progress=False)
    assert (TONE in shown(ported, "shop")) == (changed == "triage")
    assert shown(ported, "shop", "answer") == shown(program, "shop", "answer")
    assert ported.models[changed].name == "other" and bool(other.seen) == (changed == "triage")


def agrees(example: Any, prediction: Any) -> float:
    """Whether both nodes are right."""
    return float(example.team == prediction.team and prediction.reply == "Thanks.")


class Chain(fp.Program):
    """The second node reads the first one's answer."""

    def __init__(self) -> None:
        super().__init__()
        self.sort = fp.modules.Predict("message: str -> team: str")
        self.check = fp.modules.Predict("message: str, team: str -> reply: str")

    def forward(self, message: str) -> Any:
        """Sorts, then checks."""
        team = self.sort(message=message).team
        return {"team": team, "reply": self.check(message=message, team=team).reply}


@pytest.mark.parametrize("flips", [False, True])
def test_prompts_are_chosen_again_where_what_is_before_them_changed_and_only_there(kit: Any, flips: bool) -> None:
    """The first node's model changes; the second one's prompt stays, unless the first one's prompt is another."""
    first = kit.Scripted(right_by(kit, lambda good, tone, task: 3 + 6 * good - 3 * tone))
    new = right_by(kit, lambda good, tone, task: (3 + 6 * tone - 2 * good) if flips else (3 + 6 * good - 3 * tone))
    second, checker = kit.Scripted(new, name="second"), kit.Scripted(first.right, name="checker")
    both = fp.Metric(agrees, fields=["team", "reply"])
    task = kit.task("shop", labels={"sort.team": list(kit.TEAMS["shop"])}, metric=both)
    pool = kit.pool(fp.Fragment("tone", TONE, facet="hint"), useless=1)
    program = fp.compile(
        Chain(), [task], pool=pool, lm={"sort": first, "check": checker}, budget=fp.Budget(calls=900), progress=False
    )
    assert kit.GOOD in shown(program, "shop", "sort")
    lm = {"sort": second, "check": checker}
    ported = program.adapt([task], lm=lm, budget=fp.Budget(calls=700), progress=False)
    assert ported.record.learned is not None
    last = list(ported.record.learned.effects["shop"])  # where the last search looked
    if flips:
        assert TONE in shown(ported, "shop", "sort")
        assert last == ["check"]
    else:
        assert last == ["sort"]
        assert shown(ported, "shop", "sort") == shown(program, "shop", "sort")
        assert shown(ported, "shop", "check") == shown(program, "shop", "check")
        back = ported.adapt([task], lm={"sort": first, "check": checker}, budget=fp.Budget(calls=400), progress=False)
        nested = [*back.schedule.by_node.values(), *back.schedule.by_task["shop"].by_node.values()]
        assert nested and not any(each.by_node or each.by_task for each in nested)  # however often it is ported
        assert shown(back, "shop", "check") == shown(program, "shop", "check")


class Sharper(Chain):
    """The same nodes; the first one is asked in other words."""

    def __init__(self) -> None:
        super().__init__()
        self.sort = fp.modules.Predict(fp.Signature("message: str -> team: str", "Name the team that takes it."))


class Longer(Chain):
    """One node more."""

    def forward(self, message: str) -> Any:
        """Checks twice."""
        team = self.sort(message=message).team
        reply = self.check(message=message, team=team).reply
        return {"team": team, "reply": self.check(message=reply, team=team).reply}


def test_on_other_code_only_what_is_asked_otherwise_is_chosen_again(kit: Any) -> None:
    model = kit.Scripted(right_by(kit, lambda good, tone, task: 3 + 6 * good - 3 * tone))
    both = fp.Metric(agrees, fields=["team", "reply"])
    task = kit.task("shop", labels={"sort.team": list(kit.TEAMS["shop"])}, metric=both)
    pool = kit.pool(fp.Fragment("tone", TONE, facet="hint"), useless=1)
    program = fp.compile(Chain(), [task], pool=pool, lm=model, budget=fp.Budget(calls=900), progress=False)
    sharper = program.adapt([task], code=Sharper(), budget=fp.Budget(calls=700), progress=False)
    assert "Name the team that takes it." in shown(sharper, "shop", "sort")
    assert kit.GOOD in shown(sharper, "shop", "sort")
    assert shown(sharper, "shop", "check") == shown(program, "shop", "check")
    assert sharper.record.lineage.parents[0].change == "other models or code at sort"
    with pytest.raises(ProgramError, match=r"has other nodes than the program.* is new"):
        program.adapt([task], code=Longer(), budget=fp.Budget(calls=700), progress=False)


@pytest.mark.parametrize(
    ("tasks", "how", "error", "said"),
    [
        (["bank"], {"joint": True, "budget": fp.Budget(calls=600)}, DataError, "data of 'shop' is missing"),
        (["shop", "bank"], {"joint": True, "trials": 0}, BudgetError, "trials=0 changes nothing"),
        (["shop", "bank"], {"lm": "offline"}, DataError, "new tasks bank"),
        (["shop"], {"lm": "offline", "joint": True}, DataError, "joint=True"),
        (["shop"], {"joint": True, "tolerance": float("nan")}, FusionProgError, "a number of at least 0.*nan"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_asked(
    kit: Any, tasks: list[str], how: dict[str, Any], error: type[Exception], said: str
) -> None:
    model = kit.Scripted()
    program = compiled(kit, model, kit.task("shop"), calls=200)
    before = len(model.seen)
    with pytest.raises(error, match=said):
        program.adapt([kit.task(name) for name in tasks], progress=False, **how)
    assert len(model.seen) == before


def hinting(message: str, k: int) -> dict[str, str]:
    """A function whose number decides whether the model is helped."""
    return {"text": message + (" Hint: look." if k == 10 else "")}


class Looking(fp.Program):
    """What a model is asked is the same in all variants; what it reads is not."""

    def __init__(self) -> None:
        super().__init__()
        self.look = fp.modules.Function(hinting, outputs={"text": str})
        self.triage = fp.modules.Predict("text: str -> team: str")

    def forward(self, message: str) -> Any:
        """Looks, then names the team."""
        return {"team": self.triage(text=self.look(message=message, k=fp.Choice(3, 10)).text).team}


def test_what_tasks_followed_is_measured_with_its_own_picks(kit: Any) -> None:
    model = kit.Scripted(lambda prompt, task, number: seed_of(task, number) % 10 < (9 if "Hint" in prompt else 3))
    tasks = [kit.task("shop", labels={"triage.team": list(kit.TEAMS["shop"])})]
    how: dict[str, Any] = {"budget": fp.Budget(calls=400), "progress": False}
    program = fp.compile(Looking(), tasks, pool=fp.PromptPool(), lm=model, formats=["chat"], **how)
    assert program.schedule.picks("shop") == {"look": {"arg.k": "10"}}
    joint = program.adapt(tasks, joint=True, **how)
    replaced = joint.record.tasks["shop"].replaced
    assert replaced is not None and replaced.before.mean > 0.6 and replaced.gain == 0


def test_a_task_that_goes_on_as_written_keeps_its_model(kit: Any) -> None:
    """The model that is chosen for one task is not that which the other one runs on as written."""
    first = kit.Scripted(right_by(kit, lambda good, tone, task: 2 + 2 * good if task == "shop" else 8 - 7 * good))
    second = kit.Scripted(right_by(kit, lambda good, tone, task: 4 + 6 * good if task == "shop" else 2 - good))
    second.name = "second"
    tasks = [kit.task("shop"), kit.task("bank")]
    pool = kit.pool(useless=0)
    program = fp.compile(
        kit.Desk(), tasks, pool=pool, lm=[first, second], budget=fp.Budget(calls=2500), seed=1, progress=False
    )
    assert program.models["triage"].name == "second" and program.models_in("bank")["triage"].name == "scripted"
    joint = program.adapt(tasks, joint=True, budget=fp.Budget(calls=400), progress=False)
    assert joint.models_in("bank")["triage"].name == "scripted"
    replaced, test = joint.record.tasks["bank"].replaced, joint.record.tasks["bank"].test
    assert replaced is not None and replaced.before.mean > 0.6 and replaced.gain == 0
    asked_again = program.evaluate("bank", data=kit.rows("bank", "test", 12))
    assert test is not None and test.after.mean == asked_again.score.mean
