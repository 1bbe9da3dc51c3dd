"""Ordinary ``dspy.Module``s, compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import dspy
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

import fusionprog as fp
from fusionprog.cli.main import cli
from fusionprog.errors import ArtifactError, ProgramError


class Desk(dspy.Module):
    """What is for the first team is answered at once; the rest is looked at twice."""

    def __init__(self, kit: Any) -> None:
        super().__init__()
        self.triage = dspy.Predict(kit.Triage)
        self.answer = [dspy.ChainOfThought("message, team -> reply")]

    def forward(self, message: str) -> dspy.Prediction:
        teams = [self.triage(message=message, config={"rollout_id": number}).team for number in range(2)]
        if teams[0] in ("billing", "cards"):
            return dspy.Prediction(team=teams[0], reply="At once.", asked=len(teams))
        return dspy.Prediction(team=teams[0], reply=self.answer[0](message=message, team=teams[0]).reply)


def desk(kit: Any, **more: Any) -> fp.ProgramGraph:
    return fp.from_dspy(Desk(kit), **{"calls": {"triage": 2}, **more})


@pytest.fixture(scope="module")
def compiled(kit: Any) -> Any:
    return kit.compile(program=desk(kit), budget=fp.Budget(calls=1000))


def saved(program: Any, path: Path) -> bytes:
    program.save(path)
    return path.read_bytes()


def test_a_module_itself_is_told_the_way_in(kit: Any) -> None:
    with pytest.raises(ProgramError, match=r"the dspy.Module Predict.*fusionprog\.from_dspy\(module\)"):
        kit.compile(program=dspy.Predict("message -> team"))


def test_the_search_finds_the_hint_for_a_predictor(kit: Any, compiled: Any) -> None:
    assert compiled.program.record.improved
    assert kit.GOOD in compiled.program.prompt("shop", node="triage")[0]["content"]
    said = compiled.program("bank", message="Please see to case-bank-new-0.")
    assert (said.team, said.reply, said.asked) == ("cards", "At once.", 2)
    assert said["forward.team"] == "cards"
    assert compiled.program.evaluate("shop", data=kit.rows("shop", "test", 12)).score.mean > 0.7


def test_dspy_scores_it_as_the_program_does(kit: Any, compiled: Any) -> None:
    rows = kit.rows("shop", "new", 30)
    devset = [dspy.Example(**row).with_inputs("message") for row in rows]
    evaluate = dspy.Evaluate(devset=devset, metric=fp.metrics.exact_match("team"), num_threads=6)
    expected = compiled.program.evaluate("shop", data=rows).score.mean
    assert evaluate(compiled.program.to_dspy("shop")).score == round(100 * expected, 2)


def test_a_task_closes_the_choice_of_a_predictor(kit: Any, compiled: Any) -> None:
    view = compiled.program.tasks["bank"].view.program
    assert view.signatures["triage"].output_fields["team"].annotation == Literal["cards", "fraud", "loans"]


def test_budgets_reserve_all_calls_that_there_may_be(kit: Any, compiled: Any) -> None:
    assert compiled.program.record.spent["calls"] <= 1000
    assert len(compiled.seen) <= 1000 + compiled.program.record.phases["test"]
    small = kit.compile(program=desk(kit), tasks=[kit.task()], budget=fp.Budget(tokens=150_000), trials=4)
    assert small.program.record.spent["tokens"] <= 150_000


def test_nodes_that_a_metric_does_not_need_are_still_in_the_code(kit: Any) -> None:
    """What code calls is not known before it runs, so all its predictors are searched."""
    done = kit.compile(program=desk(kit), tasks=[kit.task()], trials=2)
    assert not [note for note in done.program.record.notes if "read by no metric" in note]


@pytest.mark.parametrize("concurrency", [1, 5])
def test_concurrency_changes_nothing(kit: Any, compiled: Any, tmp_path: Path, concurrency: int) -> None:
    other = kit.compile(program=desk(kit), budget=fp.Budget(calls=1000), concurrency=concurrency)
    assert saved(other.program, tmp_path / "other") == saved(compiled.program, tmp_path / "one")
    assert sorted(other.seen) == sorted(compiled.seen)


def test_a_second_compile_on_a_warm_store_makes_no_call(kit: Any, compiled: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"budget": fp.Budget(calls=1000), "storage": str(tmp_path / "desk.db")}
    kit.compile(program=desk(kit), **settings)
    again = kit.compile(program=desk(kit), **settings)
    assert again.seen == ()
    assert saved(again.program, tmp_path / "again") == saved(compiled.program, tmp_path / "one")


def test_successes_of_the_code_are_demonstrations_of_its_predictors(kit: Any) -> None:
    pool = fp.PromptPool([fp.builders.BootstrappedDemos(count=2, pinned=True)])
    always_right = kit.Scripted(lambda prompt, task, number: True)
    done = kit.compile(always_right, program=desk(kit), tasks=[kit.task()], pool=kit.nothing(1) | pool, trials=4)
    shown = done.program.rendered("shop", "answer.0.predict")
    assert shown.demo_items == ("bootstrapped-demos-2",) * 2
    assert "So it is." in shown.prefix[2]["content"]  # reasoning, which no row has


def test_too_many_calls_end_the_compile(kit: Any) -> None:
    with pytest.raises(ProgramError, match=r"'triage' more often.*calls=\{'triage': n\}"):
        kit.compile(program=desk(kit, calls=1))


def test_another_version_of_the_code_is_another_study(kit: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"tasks": [kit.task()], "trials": 2, "storage": str(tmp_path / "desk.db")}
    one = kit.compile(program=desk(kit), **settings).program.record.fingerprint
    assert kit.compile(program=desk(kit), **settings).program.record.fingerprint == one
    assert kit.compile(program=desk(kit, version="2"), **settings).program.record.fingerprint != one


# The artifact.


@pytest.fixture
def path(compiled: Any, tmp_path: Path) -> Path:
    compiled.program.save(tmp_path / "desk.json")
    return tmp_path / "desk.json"


def test_the_artifact_says_that_it_needs_the_code(kit: Any, path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    nodes = {node["name"]: node for node in data["program"]["nodes"]}
    assert nodes["forward"]["module"]["name"] == "DSPyCode"
    assert nodes["forward"]["module"]["arguments"] == {"name": "Desk", "version": "1", "open_outputs": True}
    assert (nodes["triage"]["called_by"], nodes["triage"]["calls"]) == ("forward", 2)
    assert "calls" not in nodes["answer.0.predict"]
    loaded = fp.load(path, lm=kit.Scripted())
    with pytest.raises(ProgramError, match=r"dspy.Module 'Desk', which is not bound.*module="):
        loaded("shop", message="Please see to case-shop-new-1.")


def test_a_loaded_program_runs_on_the_code_that_is_bound(kit: Any, compiled: Any, path: Path, tmp_path: Path) -> None:
    loaded = fp.load(path, lm=kit.Scripted(), module=Desk(kit))
    rows = kit.rows("shop", "test", 12)
    assert str(loaded.evaluate("shop", data=rows)) == str(compiled.program.evaluate("shop", data=rows))
    assert saved(loaded, tmp_path / "again.json") == path.read_bytes()


def test_without_the_code_all_that_looks_at_it_works(kit: Any, compiled: Any, path: Path) -> None:
    loaded = fp.load(path, lm=kit.Scripted())
    assert loaded.prompt("shop", node="triage") == compiled.program.prompt("shop", node="triage")
    shown = CliRunner().invoke(cli, ["show", str(path), "--task", "shop", "--node", "triage", "--prompt"])
    assert shown.exit_code == 0 and kit.GOOD in shown.output
    table = CliRunner().invoke(cli, ["show", str(path)]).output
    assert "triage → forward" in table and "runs the code of the dspy.Module 'Desk'" in table
    assert CliRunner().invoke(cli, ["diff", str(path), str(path), "--exit-code"]).exit_code == 0


def test_the_command_line_is_told_where_the_code_is(kit: Any, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "import dspy\nclass Desk(dspy.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.ask = dspy.Predict('message -> team')\n"
        "    def forward(self, message: str):\n        return self.ask(message=message.upper())\n",
        encoding="utf-8",
    )
    names: dict[str, Any] = {}
    exec(app.read_text(encoding="utf-8"), names)
    task = fp.Task("t", train=kit.rows("shop", "train", 9), val=kit.rows("shop", "val", 45), metric=lambda *_: 1.0)
    fp.compile(fp.from_dspy(names["Desk"]()), [task], lm="offline", trials=1, progress=False).save(tmp_path / "t.json")
    arguments = ["run", str(tmp_path / "t.json"), "message=hello"]
    ran = CliRunner().invoke(cli, [*arguments, "--module", f"{app}:Desk", "--json"])
    assert ran.exit_code == 0 and list(json.loads(ran.stdout)) == ["team"]
    bare = CliRunner().invoke(cli, arguments)
    assert bare.exit_code != 0 and "--module app.py:YourModule" in str(bare.exception)


def test_other_code_is_refused(kit: Any, path: Path, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"not like the one.*predictor 'triage'"):
        fp.load(path, lm=kit.Scripted(), module=dspy.ChainOfThought("message -> team"))
    changed = Desk(kit)
    changed.triage = dspy.Predict("text -> team")
    with pytest.raises(ProgramError, match=r"'triage' with the fields \['message', 'team'\].*\['team', 'text'\]"):
        fp.load(path, lm=kit.Scripted(), module=changed)
    kit.compile(trials=1).program.save(tmp_path / "plain.json")
    with pytest.raises(ProgramError, match="needs no module"):
        fp.load(tmp_path / "plain.json", lm=kit.Scripted(), module=Desk(kit))


@pytest.mark.parametrize(
    "change",
    [
        {"called_by": "nobody"},
        {"called_by": "answer.0.predict"},
        {"called_by": "triage"},
        {"calls": 0},
        {"called_by": None, "calls": 2},
    ],
)
def test_a_file_whose_calls_do_not_fit_is_refused(path: Path, change: dict[str, Any]) -> None:
    from fusionprog.artifacts.text import content_hash

    data = json.loads(path.read_text(encoding="utf-8"))
    data["program"]["nodes"][0].update(change)
    data["hash"] = content_hash(data, "the test")
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ArtifactError):
        fp.load(path)


class Team(BaseModel):
    name: str


class Named(dspy.Signature):
    """Name the team."""

    message: str = dspy.InputField()
    team: Team = dspy.OutputField()


def test_bound_code_gets_its_own_classes(kit: Any, tmp_path: Path) -> None:
    class Model(kit.Scripted):
        def says(self, messages: Any) -> dict[str, str]:
            return {"team": json.dumps({"name": super().says(messages)["team"]})}

    def right(example: Any, prediction: Any) -> bool:
        return bool(prediction.team.name == example.team)

    task = fp.Task("shop", train=kit.rows("shop", "train", 9), val=kit.rows("shop", "val", 45), metric=right)
    done = kit.compile(Model(), [task], program=fp.from_dspy(dspy.Predict(Named)), trials=2, formats=["chat"])
    done.program.save(tmp_path / "named.json")
    loaded = fp.load(tmp_path / "named.json", lm=Model(), module=dspy.Predict(Named))
    assert type(loaded(message="Please see to case-shop-new-1.").team) is Team


def test_demonstrations_of_the_module_are_kept(kit: Any, tmp_path: Path) -> None:
    made = Desk(kit)
    made.triage.demos = [dspy.Example(message="My box?", team="delivery")]
    task = kit.task()
    program = fp.from_dspy(made, calls=2)
    done = kit.compile(
        program=program, tasks=[task, kit.task("bank")], pool=kit.nothing(2), trials=2, budget=fp.Budget(calls=800)
    )
    shop, bank = (done.program.rendered(name, "triage") for name in ("shop", "bank"))
    assert (shop.demo_items, bank.demo_items) == ((None,), ())  # delivery is no team of the bank
    done.program.save(tmp_path / "desk.json")
    assert fp.load(tmp_path / "desk.json").rendered("shop", "triage").prefix == shop.prefix
