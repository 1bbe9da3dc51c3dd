"""The compiled program: calling it, many rows at once, its prompts, its scores, and what it says to wrong calls."""

from __future__ import annotations

import asyncio
import datetime
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import pytest

import fusionprog as fp
from fusionprog.errors import CallError, DataError, LMError, LMOutputError, MetricError
from fusionprog.lm.model import Completion, Messages
from fusionprog.runtime.compiled import CompiledProgram


class Sender(pydantic.BaseModel):
    name: str
    since: datetime.date = datetime.date(2026, 1, 2)


class Triage(fp.Signature):
    """Decide which team should handle a message."""

    message: str = fp.InputField()
    day: datetime.date = fp.InputField()
    sender: Sender = fp.InputField()
    team: str = fp.OutputField()


class Answer(fp.Signature):
    """Answer the message."""

    message: str = fp.InputField()
    team: str = fp.InputField()
    reply: str = fp.OutputField()


NOBODY = Sender(name="nobody")


def length(text: str) -> int:
    return len(text)


class Desk(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(Triage)
        self.answer = fp.modules.ChainOfThought(Answer)
        self.count = fp.modules.Function(length, name="count", outputs={"size": int})

    def forward(self, message: str, day: datetime.date, sender: Sender = NOBODY, node: Any = 1) -> Any:
        team = self.triage(message=message, day=day, sender=sender).team
        reply = self.answer(message=message, team=team).reply
        return {"team": team, "reply": reply, "size": self.count(text=message).size, "node": node}


ROWS = [
    {"message": f"the {word} number {index} is wrong", "day": "2026-03-04", "team": team}
    for index in range(8)
    for word, team in (("parcel", "delivery"), ("invoice", "billing"))
]
TASKS = [
    fp.Task(
        name,
        description=f"Messages to a {name}.",
        labels={"triage.team": ["billing", "delivery"]},
        outputs=outputs,
        train=ROWS[:4],
        val=ROWS[4:],
        metric=fp.metrics.exact_match("team"),
    )
    for name, outputs in (("shop", ()), ("bank", ["team"]))
]


@pytest.fixture(scope="module")
def desk() -> CompiledProgram:
    pool = fp.PromptPool([fp.Fragment("calm", "Stay calm.", facet="hint", pinned=True)])
    return fp.compile(Desk(), TASKS, pool=pool, lm="offline", trials=2, budget=fp.Budget(calls=500), progress=False)


@pytest.fixture(scope="module")
def shop(desk: CompiledProgram) -> CompiledProgram:
    return desk["shop"]


DAY = datetime.date(2026, 3, 4)


class Scripted:
    """Answers every field with a text; fails or talks nonsense where the message says so."""

    name = "scripted"
    identity: Mapping[str, Any] = {"model": "scripted"}
    persistent = True
    free = True
    usd_per_token = None
    max_output_tokens = None

    def __init__(self) -> None:
        self.asked: list[Messages] = []
        self.waiting = 0
        self.most = 0

    async def complete(self, messages: Messages) -> Completion:
        self.asked.append(messages)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(0)
        self.waiting -= 1
        last = messages[-1]["content"]
        if "no answer" in last:
            raise LMError("the model is away")
        if "nonsense" in last:
            return Completion("nonsense", 1, 1)
        fields = {"team": "delivery", "reasoning": "because", "reply": "soon"}
        if '"sender"' in messages[0]["content"]:
            return Completion(json.dumps(fields), 1, 1)
        return Completion("\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items()), 1, 1)


def scripted(program: CompiledProgram) -> tuple[CompiledProgram, Scripted]:
    model = Scripted()
    return program.with_models(dict.fromkeys(program.models, model)), model


def test_a_call_returns_the_outputs_and_every_field(desk: CompiledProgram) -> None:
    prediction = desk("shop", message="the delivery is late", day=DAY)
    assert prediction.team == prediction["triage.team"] == "delivery"
    assert prediction.reply == prediction["answer.reply"]
    assert prediction["answer.reasoning"]
    assert (prediction.size, prediction.node) == (20, 1)
    assert prediction["count.size"] == 20


def test_a_task_may_return_less_and_runs_less(desk: CompiledProgram) -> None:
    program, model = scripted(desk)
    prediction = program("bank", message="x", day=DAY)
    assert dict(prediction.items()) == {"triage.team": "delivery", "team": "delivery"}
    assert len(model.asked) == 1


def test_inputs_get_their_types(shop: CompiledProgram) -> None:
    program, model = scripted(shop)
    program(message="x", day="2026-03-04", sender={"name": "me"})
    program(message="x", day=DAY, sender=Sender(name="me"))
    assert model.asked[0] == model.asked[2]
    assert "2026-03-04" in model.asked[0][-1]["content"]
    assert '"since": "2026-01-02"' in model.asked[0][-1]["content"]


def test_an_input_may_be_called_as_a_parameter_is(shop: CompiledProgram) -> None:
    assert shop(message="x", day=DAY, node="n").node == "n"


def test_an_async_call_is_the_same(desk: CompiledProgram) -> None:
    async def both() -> list[Any]:
        calls = (
            desk.acall("shop", message="the parcel is late", day=DAY),
            desk["bank"].acall(message="bill", day=DAY),
        )
        return list(await asyncio.gather(*calls))

    one, other = asyncio.run(both())
    assert repr(one) == repr(desk("shop", message="the parcel is late", day=DAY))
    assert repr(other) == repr(desk("bank", message="bill", day=DAY))


def test_a_call_works_inside_of_a_running_loop_and_in_threads(shop: CompiledProgram) -> None:
    async def inside() -> Any:
        return shop(message="the parcel is late", day=DAY)

    expected = repr(shop(message="the parcel is late", day=DAY))
    assert repr(asyncio.run(inside())) == expected
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(repr(shop(message="the parcel is late", day=DAY))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_an_async_call_that_is_wrong_fails_as_a_plain_one(desk: CompiledProgram) -> None:
    with pytest.raises(CallError, match="no task"):
        asyncio.run(desk.acall("shopp", message="x", day=DAY))
    with pytest.raises(CallError, match="has no input"):
        asyncio.run(desk.acall("shop", mesage="x", day=DAY))


def test_a_batch_keeps_the_order_and_other_columns_do_not_matter(shop: CompiledProgram) -> None:
    found = shop.batch(rows=ROWS)
    assert [each.size for each in found if isinstance(each, fp.Prediction)] == [len(row["message"]) for row in ROWS]
    assert shop.batch(rows=[]) == []


def test_one_failing_row_does_not_lose_the_others(desk: CompiledProgram) -> None:
    program, model = scripted(desk)
    rows: list[Any] = [
        {"message": "fine", "day": DAY},
        {"message": "no answer", "day": DAY},
        {"message": "nonsense", "day": DAY},
        {"message": "fine", "day": "someday"},
        {"mesage": "fine", "day": DAY},
        None,
        "fine",
        {"message": "fine again", "day": DAY},
    ]
    found = program.batch("shop", rows=rows)
    assert [type(each) for each in found] == [
        fp.Prediction,
        LMError,
        LMOutputError,
        CallError,
        CallError,
        CallError,
        CallError,
        fp.Prediction,
    ]
    assert "the model is away" in str(found[1])
    assert "'day' has the wrong type" in str(found[3]) and "'message' is missing" in str(found[4])
    assert "a row is no row" in str(found[5])
    assert len(model.asked) == 6


def test_a_batch_of_an_unknown_task_fails_at_once(desk: CompiledProgram) -> None:
    with pytest.raises(CallError, match="'nope' is no task"):
        desk.batch("nope", rows=[{"message": "x"}])


def test_so_many_calls_are_in_flight_and_no_more(desk: CompiledProgram) -> None:
    program, model = scripted(desk)
    program.batch("bank", rows=[{"message": "x", "day": DAY}] * 64)
    assert model.most == 16


def test_a_model_that_gives_no_readable_answer_is_an_error(shop: CompiledProgram) -> None:
    program, _ = scripted(shop)
    with pytest.raises(LMOutputError, match="cannot be read"):
        program(message="nonsense", day=DAY)
    with pytest.raises(LMError, match="the model is away"):
        program(message="no answer", day=DAY)


def test_the_prompt_is_what_is_sent(desk: CompiledProgram) -> None:
    program, model = scripted(desk)
    program("shop", message="x", day=DAY, sender=Sender(name="me"))
    shown = program.prompt("shop", node="triage", message="x", day="2026-03-04", sender={"name": "me"})
    assert shown == model.asked[0]
    assert "Stay calm." in shown[0]["content"]
    assert program.prompt("shop", node="answer", message="x", team="delivery") == model.asked[1]


def test_the_prompt_shows_where_inputs_go(shop: CompiledProgram) -> None:
    last = shop.prompt(node="triage")[-1]["content"]
    assert "{message}" in last and "{day}" in last and "{sender}" in last
    assert "{message}" not in shop.prompt(node="triage", message="here")[-1]["content"]


def test_wrong_questions_for_prompts_are_told(desk: CompiledProgram) -> None:
    with pytest.raises(CallError, match=r"no node 'triag' that asks a model. Did you mean 'triage'"):
        desk.prompt("shop", node="triag")
    with pytest.raises(CallError, match="no node 'count' that asks a model"):
        desk.prompt("shop", node="count")
    with pytest.raises(CallError, match=r"no input 'mesage'. Did you mean 'message'"):
        desk.prompt("shop", node="triage", mesage="x")
    with pytest.raises(CallError, match="'day' has the wrong type"):
        desk.prompt("shop", node="triage", day="someday")
    with pytest.raises(CallError, match="'nope' is no task"):
        desk.rendered("nope", "triage")


WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "no task": (
        (),
        {"message": "x", "day": DAY},
        r"Desk has several tasks, and none is named. Known are 'bank', 'shop'",
    ),
    "an unknown task": (("shopp",), {}, r"'shopp' is no task of Desk. Did you mean 'shop'.*Inputs are passed by name"),
    "two tasks": (("shop", "bank"), {}, r"a call names one task: found 'shop', 'bank'. Inputs are passed by name"),
    "a dict": (({"message": "x"},), {}, r"\{'message': 'x'\} is no task of Desk.*Inputs are passed by name"),
    "a list": ((["shop"],), {}, r"\['shop'\] is no task"),
    "a number": ((1,), {}, "1 is no task"),
    "a missing input": (("shop",), {"day": DAY}, "'message' is missing: expected message, day, found day"),
    "no inputs": (("shop",), {}, "'message' is missing: expected message, day, found no inputs"),
    "an unknown input": (("shop",), {"mesage": "x"}, r"has no input 'mesage'. Did you mean 'message'"),
    "another type": (
        ("shop",),
        {"message": 5, "day": DAY},
        "'message' has the wrong type: expected str, found 5",
    ),
    "no date": (("shop",), {"message": "x", "day": "soon"}, "'day' has the wrong type: expected date, found 'soon'"),
    "none": (("shop",), {"message": None, "day": DAY}, "'message' has the wrong type"),
    "half a model": (
        ("shop",),
        {"message": "x", "day": DAY, "sender": {"nam": "x"}},
        "'sender' has the wrong type: expected Sender",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_say_what_is_wrong_before_anything_is_sent(name: str, desk: CompiledProgram) -> None:
    task, inputs, message = WRONG[name]
    program, model = scripted(desk)
    with pytest.raises(CallError, match=message):
        program(*task, **inputs)
    assert model.asked == []


def test_a_text_for_a_program_of_one_task_is_no_task(shop: CompiledProgram) -> None:
    with pytest.raises(CallError, match=r"'where is it\?' is no task of Desk.*Inputs are passed by name"):
        shop("where is it?")


def test_one_task_alone_needs_no_name(desk: CompiledProgram, shop: CompiledProgram) -> None:
    assert list(shop.tasks) == ["shop"]
    given = {"message": "the invoice is wrong", "day": DAY}
    assert repr(shop(**given)) == repr(shop("shop", **given)) == repr(desk("shop", **given))
    assert shop.prompt(node="triage") == desk.prompt("shop", node="triage")
    assert shop.rendered("shop", "triage") is desk.rendered("shop", "triage")
    with pytest.raises(CallError, match="'bank' is no task"):
        shop["bank"]
    with pytest.raises(CallError, match=r"'shopp' is no task of Desk. Did you mean 'shop'"):
        desk["shopp"]
    assert repr(desk) == "CompiledProgram('Desk', tasks=['shop', 'bank'])"
    assert repr(shop) == "CompiledProgram('Desk', tasks=['shop'])"


def test_other_models_for_some_nodes(desk: CompiledProgram) -> None:
    model = Scripted()
    program = desk.with_models({"answer": model})
    prediction = program("shop", message="the billing is wrong", day=DAY)
    assert prediction.reply == "soon" and prediction.team == "billing"
    assert len(model.asked) == 1
    assert desk.models["answer"].name == "offline"
    with pytest.raises(CallError, match=r"no node 'anser' that asks a model. Did you mean 'answer'"):
        desk.with_models({"anser": model})
    with pytest.raises(CallError, match="no node 'count'"):
        desk.with_models({"count": model})


def test_what_it_was_compiled_for_stays(desk: CompiledProgram, tmp_path: Path) -> None:
    program, _ = scripted(desk)
    assert (
        program.compiled_for
        == desk.compiled_for
        == {node: {"model": "offline", "version": 1} for node in ("triage", "answer")}
    )
    program.save(tmp_path / "a.json")
    desk.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("loaded", [False, True])
def test_it_is_evaluated_with_its_tasks_metric(desk: CompiledProgram, loaded: bool, tmp_path: Path) -> None:
    program = desk
    if loaded:
        desk.save(tmp_path / "desk.json")
        program = fp.load(tmp_path / "desk.json")
    program, _ = scripted(program)
    result = program.evaluate("shop", data=ROWS)
    assert (result.score.mean, result.score.n, result.task) == (0.5, 16, "shop")
    assert str(result).startswith("shop: 0.500")
    right = [row for row in ROWS if row["team"] == "delivery"]
    assert program["shop"].evaluate(data=right).score.mean == 1.0


def test_it_is_evaluated_with_another_metric_and_from_a_file(shop: CompiledProgram, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    assert shop.evaluate(data=path, metric=lambda example, prediction: 0.25).score.mean == 0.25


def test_unreadable_answers_score_0_and_are_counted(desk: CompiledProgram) -> None:
    program, _ = scripted(desk)
    rows = [{"message": text, "day": DAY, "team": "delivery"} for text in ("fine", "nonsense", "well", "good")]
    result = program.evaluate("shop", data=rows)
    assert (result.score.mean, result.failed) == (0.75, {"unreadable": 1})


def test_wrong_evaluations_are_told(desk: CompiledProgram) -> None:
    with pytest.raises(CallError, match="'nope' is no task"):
        desk.evaluate("nope", data=ROWS)
    with pytest.raises(CallError, match="none is named"):
        desk.evaluate(data=ROWS)
    with pytest.raises(DataError):
        desk.evaluate("shop", data=[{"message": "x", "day": "2026-01-01"}])
    with pytest.raises(MetricError):
        desk.evaluate("shop", data=ROWS, metric=lambda example, prediction: "good")
    program, _ = scripted(desk)
    with pytest.raises(LMError):
        program.evaluate("shop", data=[{"message": "no answer", "day": DAY, "team": "delivery"}])


def test_a_metric_of_the_users_own_must_be_given_again(desk: CompiledProgram, tmp_path: Path) -> None:
    task = fp.Task(
        "own", train=ROWS[:4], val=ROWS[4:], metric=lambda example, prediction: float(prediction.team == example.team)
    )
    program = fp.compile(
        Desk(),
        [task],
        pool=fp.PromptPool([fp.Fragment("a", "Be calm.", facet="hint")]),
        lm="offline",
        trials=1,
        budget=fp.Budget(calls=300),
        progress=False,
    )
    assert program.evaluate(data=ROWS).score.n == 16
    program.save(tmp_path / "own.json")
    loaded = fp.load(tmp_path / "own.json", functions={"count": length})
    with pytest.raises(MetricError, match="author's own code"):
        loaded.evaluate(data=ROWS)
    assert loaded.evaluate(data=ROWS, metric=task.metric).score == program.evaluate(data=ROWS).score
