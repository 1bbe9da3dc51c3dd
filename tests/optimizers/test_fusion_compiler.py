"""fusionprog as one of DSPy's optimizers."""

from __future__ import annotations

import copy
import inspect
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.teleprompt import Teleprompter

import fusionprog as fp
from fusionprog.errors import DataError, LMConfigurationError, ProgramError
from fusionprog.testing import engine


class Desk(dspy.Module):
    """A loop and a branch, as no graph has them."""

    def __init__(self, kit: Any) -> None:
        super().__init__()
        self.triage = dspy.Predict(kit.Triage)
        self.answer = dspy.ChainOfThought("message, team -> reply")

    def forward(self, message: str) -> dspy.Prediction:
        team = self.triage(message=message).team
        if team in ("billing", "cards"):
            return dspy.Prediction(team=team, reply="At once.", quick=True)
        return dspy.Prediction(team=team, reply=self.answer(message=message, team=team).reply)


def lm_of(model: Any) -> dspy.LM:
    """The scripted model behind a ``dspy.LM``."""

    async def text(messages: Any) -> str:
        return str((await model.complete(messages)).text)

    plain, awaited = engine(text)
    return dspy.LM("test/desk", engine=plain, async_engine=awaited, cache=False, max_tokens=100)


def student_on(kit: Any, model: Any) -> Desk:
    made = Desk(kit)
    made.set_lm(lm_of(model))
    return made


def examples(kit: Any, split: str, count: int) -> list[dspy.Example]:
    return [dspy.Example(**row).with_inputs("message") for row in kit.rows("shop", split, count)]


def optimizer(kit: Any, *items: Any, **more: Any) -> fp.optimizers.FusionCompiler:
    settings = {"pool": kit.pool(*items), "budget": fp.Budget(calls=600), "trials": 8, "progress": False}
    return fp.optimizers.FusionCompiler(fp.metrics.exact_match("team"), **{**settings, **more})


def score(program: Any, rows: list[dspy.Example]) -> float:
    evaluate = dspy.Evaluate(devset=rows, metric=fp.metrics.exact_match("team"), num_threads=4, display_progress=False)
    with dspy.context(adapter=dspy.ChatAdapter(use_json_adapter_fallback=False)):
        return float(evaluate(program).score)


@pytest.fixture(autouse=True)
def dspys_own_cache_is_off() -> None:
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)


@pytest.fixture(scope="module")
def done(kit: Any) -> tuple[Desk, Any, Any]:
    """A student, what it was compiled to, and its model."""
    model = kit.Scripted()
    student = student_on(kit, model)
    demos = fp.builders.BalancedDemos(per_label=3, pinned=True)
    compiled = optimizer(kit, demos).compile(
        student, trainset=examples(kit, "train", 12), valset=examples(kit, "val", 48)
    )
    return student, compiled, model


def test_it_is_an_optimizer_of_dspys_kind(kit: Any) -> None:
    made = optimizer(kit, seed=3)
    assert isinstance(made, Teleprompter)
    assert list(inspect.signature(made.compile).parameters) == ["student", "trainset", "teacher", "valset"]
    assert made.get_params()["seed"] == 3


def test_it_returns_a_compiled_copy_and_leaves_the_student_alone(kit: Any, done: Any) -> None:
    student, compiled, _ = done
    assert type(compiled) is Desk and compiled is not student and compiled._compiled and not student._compiled
    assert compiled.fusion.record.improved and compiled.fusion.tasks.keys() == {"student"}
    assert kit.GOOD in compiled.triage.signature.instructions
    assert len(compiled.triage.demos) == 3 and compiled.triage.lm is student.triage.lm
    assert student.triage.signature is kit.Triage and student.triage.demos == [] and not hasattr(student, "fusion")


def test_plain_dspy_sends_the_messages_that_were_measured(kit: Any, done: Any) -> None:
    _, compiled, model = done
    rows = examples(kit, "new", 24)
    model.seen.clear()
    found = compiled.fusion.evaluate(data=rows)
    measured, _ = sorted(model.seen), model.seen.clear()
    assert score(compiled, rows) == round(100 * found.score.mean, 2)
    assert sorted(model.seen) == measured
    assert any(len(json.loads(each)) == 8 for each in measured)  # with demonstrations
    assert any("reasoning" in each for each in measured)


def test_a_loaded_state_scores_the_same(kit: Any, done: Any, tmp_path: Path) -> None:
    _, compiled, model = done
    plain = compiled.deepcopy()
    plain.set_lm(None)  # a custom engine has no state that DSPy could save
    plain.save(tmp_path / "state.json")
    loaded = student_on(kit, model)
    lm = loaded.triage.lm
    loaded.load(tmp_path / "state.json")
    loaded.set_lm(lm)
    rows = examples(kit, "new", 24)
    assert score(loaded, rows) == score(compiled, rows) > score(student_on(kit, model), rows)


def test_the_whole_program_can_be_saved_by_dspy(kit: Any, done: Any, tmp_path: Path) -> None:
    _, compiled, _ = done
    plain = compiled.deepcopy()
    plain.set_lm(None)
    plain.save(tmp_path / "whole", save_program=True)
    assert (tmp_path / "whole" / "program.pkl").stat().st_size > 0
    assert copy.deepcopy(compiled).fusion is compiled.fusion


def test_only_the_chat_format_is_searched(kit: Any) -> None:
    model = kit.Scripted()
    optimizer(kit, sampler="random").compile(
        student_on(kit, model), trainset=examples(kit, "train", 12), valset=examples(kit, "val", 48)
    )
    assert model.seen and not [each for each in model.seen if "JSON object" in each or "XML tags" in each]


def test_objective_optimizer_and_callbacks_are_those_of_compile(kit: Any) -> None:
    events: list[Any] = []
    settings = {"objective": fp.Objective("mean", most_tokens=140.0), "callbacks": [events.append], "trials": 8}
    data = {"trainset": examples(kit, "train", 12), "valset": examples(kit, "val", 48)}
    capped = optimizer(kit, **settings).compile(student_on(kit, kit.Scripted()), **data)
    assert not capped.fusion.record.improved
    assert capped.fusion.record.optimizer["objective"]["most_tokens"] == 140.0
    assert events
    own = fp.optimizers.Fusion("random", narrowing="none")
    drawn = optimizer(kit, optimizer=own).compile(student_on(kit, kit.Scripted()), **data)
    assert drawn.fusion.record.optimizer["sampler"] == "random"


def test_where_nothing_helps_the_student_stays_as_it_is(kit: Any) -> None:
    student = student_on(kit, kit.Scripted())
    student.triage.demos = [dspy.Example(message="Where is it?", team="delivery")]
    made = optimizer(kit, pool=kit.nothing(4))
    compiled = made.compile(student, trainset=examples(kit, "train", 12), valset=examples(kit, "val", 48))
    assert not compiled.fusion.record.improved
    assert compiled.triage.signature is kit.Triage
    assert [demo.toDict() for demo in compiled.triage.demos] == [{"message": "Where is it?", "team": "delivery"}]


def test_without_a_valset_the_trainset_is_split_by_seed(kit: Any) -> None:
    sizes, asked = [], []
    for seed in (0, 0, 1):
        model = kit.Scripted()
        compiled = optimizer(kit, seed=seed).compile(student_on(kit, model), trainset=examples(kit, "all", 72))
        sizes.append(compiled.fusion.record.tasks["student"].sizes)
        asked.append(sorted(model.seen))
    assert sizes == [{"train": 24, "val": 48}] * 3
    assert asked[0] == asked[1] != asked[2]
    with pytest.raises(DataError, match="too small to be split"):
        optimizer(kit).compile(student_on(kit, kit.Scripted()), trainset=examples(kit, "all", 2))


def test_the_model_may_be_that_of_the_settings(kit: Any) -> None:
    model = kit.Scripted()
    with dspy.context(lm=lm_of(model)):
        compiled = optimizer(kit).compile(Desk(kit), trainset=examples(kit, "all", 72))
    assert model.seen and compiled.triage.lm is None
    with pytest.raises(LMConfigurationError, match=r"'triage' has no model.*set_lm"):
        optimizer(kit).compile(Desk(kit), trainset=examples(kit, "all", 72))


def says(**fields: Any) -> str:
    return "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items())


def agent_model(messages: Any) -> str:
    """Looks a team up only where it is told to be careful, and then knows it."""
    told, last = messages[0]["content"], messages[-1]["content"]
    if "next_tool_name" not in told:
        return says(reasoning="So it is.", team="billing" if "it is billing" in last else "none")
    looks = "Be careful." in told and "it is billing" not in last
    tool, arguments = ("look", {"message": "x"}) if looks else ("finish", {})
    return says(next_thought="Hm.", next_tool_name=tool, next_tool_args=json.dumps(arguments))


def test_an_agent_is_compiled(kit: Any) -> None:
    def look(message: str) -> str:
        """Looks a team up."""
        return "it is billing"

    agent = dspy.ReAct("message -> team", tools=[look], max_iters=3)
    plain, awaited = engine(agent_model)
    agent.set_lm(dspy.LM("test/agent", engine=plain, async_engine=awaited, cache=False))
    rows = [dspy.Example(message=f"message {number}", team="billing").with_inputs("message") for number in range(60)]
    careful = fp.Fragment("careful", "Be careful.", facet="hint")
    more = {"pool": fp.PromptPool([careful]) | kit.nothing(2), "calls": {"react": 3}, "budget": fp.Budget(calls=900)}
    made = optimizer(kit, **more).compile(agent, trainset=rows[:10], valset=rows[10:])

    assert made.fusion.record.improved and list(made.fusion.graph.nodes) == ["react", "extract.predict", "forward"]
    assert (score(agent, rows), score(made, rows)) == (0.0, 100.0)


def test_inputs_that_forward_does_not_name_can_be_given(kit: Any) -> None:
    class Open(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.desk = Desk(kit)

        def forward(self, **inputs: Any) -> dspy.Prediction:
            return self.desk(**inputs)

    student = Open()
    student.set_lm(lm_of(kit.Scripted()))
    rows = {"trainset": examples(kit, "train", 9), "valset": examples(kit, "val", 40)}
    with pytest.raises(ProgramError, match="Pass inputs="):
        optimizer(kit).compile(student, **rows)
    made = optimizer(kit, inputs={"message": str}, outputs={"team": str}).compile(student, **rows)
    assert made.fusion.record.improved and list(made.fusion.graph.outputs) == ["team"]


def test_a_metric_of_dspys_form_sees_all_that_forward_returns(kit: Any) -> None:
    def metric(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> bool:
        assert trace is None and (prediction.team != "billing" or prediction.quick)
        return bool(prediction.team == example.team)

    made = optimizer(kit)
    made.metric = metric
    compiled = made.compile(student_on(kit, kit.Scripted()), trainset=examples(kit, "all", 72))
    assert compiled.fusion.record.improved


def test_a_teacher_is_not_used_and_a_warning_says_so(kit: Any) -> None:
    student = student_on(kit, kit.Scripted())
    with pytest.warns(UserWarning, match=r"no use for a teacher.*DemoSet"):
        compiled = optimizer(kit).compile(student, trainset=examples(kit, "all", 72), teacher=Desk(kit))
    assert compiled.fusion.record.improved


@pytest.mark.parametrize("kept", ["candidate_programs", "trial_logs"])
def test_candidates_that_another_optimizer_has_left_in_the_student_are_no_part_of_it(kit: Any, kept: str) -> None:
    student = student_on(kit, kit.Scripted())
    one, other = student.deepcopy(), student.deepcopy()
    setattr(student, kept, [{"score": 1.0, "program": one}, {"score": 0.5, "program": other}])
    compiled = optimizer(kit).compile(student, trainset=examples(kit, "all", 72))
    assert compiled.fusion.record.improved


def together(kit: Any, student: dspy.Module, strategy: str, **others: Any) -> Any:
    """What ``BetterTogether`` makes of a student, with ``fusion`` and others."""
    optimizers = dspy.BetterTogether(metric=fp.metrics.exact_match("team"), fusion=optimizer(kit), **others)
    with dspy.context(lm=student.triage.lm):
        best = optimizers.compile(
            student,
            trainset=examples(kit, "train", 24),
            valset=examples(kit, "val", 48),
            strategy=strategy,
            seed=0,
        )
    assert not best.flag_compilation_error_occurred
    return best


def test_it_goes_on_from_few_shot_search(kit: Any) -> None:
    student = student_on(kit, kit.Scripted())
    search = dspy.BootstrapFewShotWithRandomSearch(
        metric=fp.metrics.exact_match("team"), num_candidate_programs=1, max_bootstrapped_demos=1, num_threads=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # DSPy's own
        best = together(kit, student, "search -> fusion", search=search)
    assert {each["strategy"] for each in best.candidate_programs} >= {"search", "search -> fusion"}


def test_it_works_together_with_others(kit: Any) -> None:
    student = student_on(kit, kit.Scripted())
    best = together(kit, student, "labels -> fusion -> labels", labels=dspy.LabeledFewShot(k=2))
    scores = {each["strategy"]: each["score"] for each in best.candidate_programs}
    assert scores["labels -> fusion"] > scores["labels"]
    found = next(each["program"] for each in best.candidate_programs if each["strategy"] == "labels -> fusion")
    assert len(found.triage.demos) >= 2  # what the one before it has set is the program as written


def test_the_package_is_imported_without_dspy() -> None:
    code = (
        "import sys, fusionprog.optimizers as o; assert 'dspy' not in sys.modules; "
        "o.FusionCompiler; assert 'dspy' in sys.modules; assert not hasattr(o, 'Other')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
