"""Functions that ask models through DSPy: their calls are made by the client, counted, kept and bounded."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy
import pytest
from dspy.evaluate import SemanticF1

import fusionprog as fp
from fusionprog.errors import LMAuthError, LMConfigurationError, MetricError
from fusionprog.evaluation.evaluator import Evaluator, Outcome, TaskScorer
from fusionprog.evaluation.metrics import as_metric, judges_of
from fusionprog.lm.client import LMClient
from fusionprog.program.data import read_rows
from fusionprog.runtime.executor import Executor
from fusionprog.store.store import Store
from fusionprog.testing import LMServer, error

ROWS = read_rows([{"message": f"parcel {number}", "team": "delivery"} for number in range(4)], "rows")
GRADE = "message, team -> score: float"
# Made once: to read a signature's text in several threads is what CPython before 3.11.8 gets wrong now and then.
GRADER = dspy.Predict(GRADE)
SHORT, TWICE, REASONED = (
    make("message -> score: float", **more)
    for make, more in ((dspy.Predict, {}), (dspy.Predict, {"n": 2}), (dspy.ChainOfThought, {}))
)


def graded(messages: Sequence[Mapping[str, Any]]) -> str:
    return "[[ ## score ## ]]\n0.5\n\n[[ ## completed ## ]]"


def asks(example: Any, prediction: Any, trace: Any = None) -> float:
    return float(GRADER(message=example.message, team=prediction.team).score)


async def asks_and_awaits(example: Any, prediction: Any) -> float:
    return float((await GRADER.acall(message=example.message, team=prediction.team)).score)


def lm_of(server: LMServer, **more: Any) -> Any:
    return dspy.LM("openai/judge", api_base=server.url, api_key="k", cache=False, max_tokens=50, **more)


class Scored:
    """A task with one node, whose metric is scored as a compile scores it."""

    def __init__(self, desk: Any, metric: Any, models: Mapping[str, Any] | None = None) -> None:
        graph = fp.ProgramGraph("Team")
        graph.add("triage", fp.modules.Predict("message -> team"))
        graph.connect("message", "triage.message")
        self.models = models or {"triage": desk.model(lambda inputs: {"team": "delivery"})}
        self.scorer: TaskScorer = desk.scorer(graph, metric, self.models)
        self.prompts = desk.prompts(self.scorer)

    def outcomes(self, store: Store | None = None) -> list[Outcome]:
        async def work() -> list[Outcome]:
            evaluator = Evaluator(Executor(LMClient(store)))
            return await evaluator.outcomes(self.scorer, self.prompts, ROWS)

        return asyncio.run(work())


@pytest.mark.parametrize("function", [asks, asks_and_awaits])
def test_its_calls_are_counted_and_kept(desk: Any, function: Callable[..., Any]) -> None:
    with LMServer(graded) as server, Store() as store:
        scored = Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server)))

        first, again = scored.outcomes(store), scored.outcomes(store)

        assert [each.score for each in first] == [0.5] * 4 == [each.score for each in again]
        assert [len(each.calls) for each in first] == [2] * 4
        assert {key for each in first for key in each.calls} == {key for each in again for key in each.calls}
        assert server.counts.total() == 4
        assert all(asyncio.run(store.find(key)) for each in first for key in each.calls)
        assert scored.scorer.calls_per_example == 2
        assert [each.tokens for each in first] == [12] * 4  # the program's own calls alone


def test_it_asks_the_programs_own_model_if_it_names_none(desk: Any) -> None:
    def both(inputs: dict[str, str]) -> Mapping[str, Any]:
        return {"score": 0.25} if "team" in inputs else {"team": "delivery"}

    model = desk.model(both)

    outcomes = Scored(desk, fp.Metric(asks, calls=1), {"triage": model}).outcomes()

    assert [each.score for each in outcomes] == [0.25] * 4
    assert len(model.asked) == 8


@pytest.mark.parametrize(
    "function",
    [
        lambda example, prediction: float("0.5" in dspy.settings.lm(f"{example.message}: {prediction.team}")[0]),
        lambda example, prediction: TWICE(message=example.message).score * 2,
        lambda example, prediction: REASONED(message=example.message).score * 2,
    ],
    ids=["directly", "two samples", "another module"],
)
def test_it_may_ask_in_every_way_of_dspy(desk: Any, function: Callable[..., Any]) -> None:
    def answer(messages: Sequence[Mapping[str, Any]]) -> str:
        return "[[ ## reasoning ## ]]\nno\n\n[[ ## score ## ]]\n0.5\n\n[[ ## completed ## ]]"

    with LMServer(answer) as server:
        outcomes = Scored(desk, fp.Metric(function, calls=2, lm=lm_of(server))).outcomes()

        assert [each.score for each in outcomes] == [1.0] * 4
        assert server.counts.total() == sum(len(each.calls) - 1 for each in outcomes)


def test_a_call_with_parameters_of_its_own_is_another_call(desk: Any) -> None:
    warmth = {"value": 0.1}

    def function(example: Any, prediction: Any) -> float:
        return float(SHORT(message=example.message, config={"temperature": warmth["value"]}).score)

    with LMServer(graded) as server, Store() as store:
        scored = Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server)))
        for value in (0.1, 0.1, 0.9):
            warmth["value"] = value
            scored.outcomes(store)

        assert [each.parameters["temperature"] for each in server.requests] == [0.1] * 4 + [0.9] * 4


def test_functions_wait_beside_each_other(desk: Any) -> None:
    together, begun = threading.Barrier(4, timeout=20), set[str]()

    def function(example: Any, prediction: Any) -> float:
        if example.message not in begun:  # it may be called again, where Python mixes up its threads
            begun.add(example.message)
            together.wait()
        return asks(example, prediction)

    with LMServer(graded) as server:
        outcomes = Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server))).outcomes()

    assert [each.score for each in outcomes] == [0.5] * 4


def test_one_that_does_not_say_so_is_stopped_before_it_asks(desk: Any) -> None:
    def function(example: Any, prediction: Any) -> float:
        try:
            with dspy.context(lm=lm):
                return asks(example, prediction)
        except Exception:
            return 0.0

    with LMServer(graded) as server:
        lm = lm_of(server)
        with pytest.raises(MetricError, match=r"'function' asks a model, and budgets set no calls .*calls=1"):
            Scored(desk, function).outcomes()

        assert server.counts.total() == 0


def test_one_that_asks_too_often_is_stopped(desk: Any) -> None:
    def function(example: Any, prediction: Any) -> float:
        return asks(example, prediction) + asks(example, dspy.Prediction(team="another"))

    with LMServer(graded) as server:
        with pytest.raises(MetricError, match=r"more often than it may for one answer: expected at most 1"):
            Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server))).outcomes()

        assert server.counts.total() == 4


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("way", ["adapter", "adapter, awaited", "the model itself", "in a thread of DSPy's"])
def test_what_nobody_can_answer_for_is_not_asked(desk: Any, way: str, declared: bool) -> None:
    """Whatever the function catches."""

    def by_adapter(example: Any, prediction: Any) -> float:
        try:
            with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
                return asks(example, prediction)
        except Exception:
            return 0.0

    async def awaited(example: Any, prediction: Any) -> float:
        try:
            with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
                return await asks_and_awaits(example, prediction)
        except Exception:
            return 0.0

    def itself(example: Any, prediction: Any) -> float:
        try:
            return float(len(lm("is it right?")))
        except Exception:
            return 0.0

    def in_threads(example: Any, prediction: Any) -> float:
        def one(**_: Any) -> Any:
            return lm("is it right?")

        dspy.Parallel(num_threads=2, disable_progress_bar=True, max_errors=9)([(one, {}), (one, {})])
        return 0.0

    ways = {"adapter": by_adapter, "adapter, awaited": awaited, "the model itself": itself}
    function = ways.get(way, in_threads)
    words = "in a way that is not counted" if declared else "budgets set no calls of it aside"
    with LMServer(graded) as server:
        lm = lm_of(server)
        with pytest.raises(MetricError, match=words):
            Scored(desk, fp.Metric(function, calls=2, lm=lm) if declared else function).outcomes()

        assert server.counts.total() == 0


def test_threads_of_dspy_and_event_loops_of_its_own_are_answered(desk: Any) -> None:
    def in_threads(example: Any, prediction: Any) -> float:
        given = {"message": example.message, "team": prediction.team}
        both = [(GRADER, given), (GRADER, {**given, "team": "another"})]
        return sum(float(each.score) for each in dspy.Parallel(num_threads=2, disable_progress_bar=True)(both))

    def on_a_loop(example: Any, prediction: Any) -> float:
        return 2 * asyncio.run(asks_and_awaits(example, prediction))

    with LMServer(graded) as server:
        for function in (in_threads, on_a_loop):
            with Store() as store:
                metric = fp.Metric(function, calls=2, lm=lm_of(server))
                assert [each.score for each in Scored(desk, metric).outcomes(store)] == [1.0] * 4


def test_a_prompt_is_no_longer_than_it_says(desk: Any) -> None:
    grade = dspy.Predict(dspy.Signature(GRADE, "Be fair. " * 1_000))

    def function(example: Any, prediction: Any) -> float:
        return float(grade(message=example.message, team=prediction.team).score)

    with LMServer(graded) as server:
        with pytest.raises(MetricError, match=r"a longer prompt than budgets set aside.* prompt_tokens=16384"):
            Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server))).outcomes()
        assert server.counts.total() == 0

        metric = fp.Metric(function, calls=1, lm=lm_of(server), prompt_tokens=16_384)
        assert [each.score for each in Scored(desk, metric).outcomes()] == [0.5] * 4


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_an_answer_is_no_longer_than_the_models(desk: Any, name: str) -> None:
    def function(example: Any, prediction: Any) -> float:
        config = {name: 9_000}
        return float(GRADER(message=example.message, team=prediction.team, config=config).score)

    with LMServer(graded) as server:
        with pytest.raises(MetricError, match="longer answers"):
            Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server))).outcomes()
        assert server.counts.total() == 0


def test_what_a_function_says_shows_no_key_of_its_models(desk: Any) -> None:
    key = "k-judge-9f8e7d6c5b"
    lm = dspy.LM("openai/judge", api_base="http://127.0.0.1:9", api_key=key, cache=False)

    def function(example: Any, prediction: Any) -> float:
        raise ValueError(f"no answer from {lm.model} with {key}")

    with pytest.raises(MetricError, match="raised ValueError") as caught:
        Scored(desk, function).outcomes()
    assert key not in str(caught.value)
    assert key not in "".join(traceback.format_exception(caught.value))


def test_one_that_asks_another_model_is_stopped(desk: Any) -> None:
    with LMServer(graded) as server:
        other = dspy.LM("openai/other", api_base=server.url, api_key="k", cache=False)
        longer = lm_of(server).copy(max_tokens=60)
        for lm in (other, longer):

            def function(example: Any, prediction: Any, lm: Any = lm) -> float:
                with dspy.context(lm=lm):
                    return asks(example, prediction)

            with pytest.raises(MetricError, match="a model that it does not name, or for longer answers"):
                Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server))).outcomes()

        assert server.counts.total() == 0


def test_one_may_ask_several_models(desk: Any) -> None:
    with LMServer(graded) as first, LMServer(graded) as second:
        lms = [lm_of(first), dspy.LM("openai/other", api_base=second.url, api_key="k", cache=False, max_tokens=9)]

        def function(example: Any, prediction: Any) -> float:
            with dspy.context(lm=lms[1]):
                return asks(example, prediction)

        Scored(desk, fp.Metric(function, calls=1, lm=lms)).outcomes()

        assert (first.counts.total(), second.counts.total()) == (0, 4)


def test_a_model_that_fails_is_no_score_whatever_the_function_makes_of_it(desk: Any) -> None:
    def function(example: Any, prediction: Any) -> float:
        try:
            return asks(example, prediction)
        except Exception:
            return 0.0

    with LMServer(graded) as server:
        server.next(error(401, "invalid_api_key", "wrong key"), times=None)
        with pytest.raises(LMAuthError):
            Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server))).outcomes()


def test_an_answer_that_cannot_be_read_is_the_functions_own_to_judge(desk: Any) -> None:
    def function(example: Any, prediction: Any) -> float:
        try:
            return asks(example, prediction)
        except Exception:
            return 0.125

    with LMServer(lambda messages: "I cannot say.") as server:
        metric = fp.Metric(function, calls=2, lm=lm_of(server))  # DSPy asks again, in JSON

        assert [each.score for each in Scored(desk, metric).outcomes()] == [0.125] * 4
        assert server.counts.total() == 8


def test_an_async_function_must_await_its_predictors(desk: Any) -> None:
    async def function(example: Any, prediction: Any) -> float:
        return asks(example, prediction)

    with LMServer(graded) as server, pytest.raises(MetricError, match="without awaiting it"):
        Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server))).outcomes()


def test_where_python_mixes_up_its_threads_a_function_is_called_again(desk: Any) -> None:
    """CPython before 3.11.8 does, where functions in several threads parse (``dspy.Predict("a -> b")`` does)."""
    mistakes = iter([SystemError("AST constructor recursion depth mismatch (before=60, after=59)")] * 3)

    def function(example: Any, prediction: Any) -> float:
        score = asks(example, prediction)
        for mistake in mistakes:
            raise mistake
        return score

    with LMServer(graded) as server:
        outcomes = Scored(desk, fp.Metric(function, calls=1, lm=lm_of(server))).outcomes()

    assert [each.score for each in outcomes] == [0.5] * 4


def test_another_mistake_of_python_is_one_of_the_function(desk: Any) -> None:
    def function(example: Any, prediction: Any) -> float:
        raise SystemError("something else")

    with pytest.raises(MetricError, match="raised SystemError"):
        Scored(desk, function).outcomes()


def test_it_can_be_a_part_of_a_weighted_metric(desk: Any) -> None:
    with LMServer(graded) as server:
        metric = fp.metrics.weighted(
            [(fp.metrics.exact_match("team"), 1), (fp.Metric(asks, calls=1, lm=lm_of(server)), 1)]
        )

        assert len(judges_of(metric)) == 1
        assert [each.score for each in Scored(desk, metric).outcomes()] == [0.75] * 4


def test_it_can_be_called_as_dspy_calls_metrics() -> None:
    with LMServer(graded) as server:
        metric = fp.Metric(asks, calls=1, lm=lm_of(server))

        assert metric(dspy.Example(message="parcel"), dspy.Prediction(team="delivery")) == 0.5

    with pytest.raises(LMConfigurationError, match="DSPy cannot ask the model 'offline' by itself"):
        fp.Metric(asks, calls=1, lm="offline")(dspy.Example(message="parcel"), dspy.Prediction(team="delivery"))


def test_a_module_of_dspy_can_be_one_and_says_how_often(desk: Any) -> None:
    def answer(messages: Sequence[Mapping[str, Any]]) -> str:
        fields = ("reasoning", "precision", "recall")
        return "".join(f"[[ ## {name} ## ]]\n0.5\n\n" for name in fields) + "[[ ## completed ## ]]"

    class Reads(SemanticF1):
        def forward(self, example: Any, pred: Any, trace: Any = None) -> Any:
            row = dspy.Example(question=example.message, response=example.team)
            return super().forward(row, dspy.Prediction(response=pred.team), trace)

    with pytest.raises(MetricError, match=r"Reads is a dspy.Module that asks a model.* calls=1"):
        as_metric(Reads())
    with LMServer(answer) as server:
        outcomes = Scored(desk, fp.Metric(Reads(), calls=1, lm=lm_of(server))).outcomes()

    assert [each.score for each in outcomes] == [0.5] * 4


@pytest.mark.parametrize("wrong", [{"calls": -1}, {"calls": 1.5}, {"calls": True}, {"lm": "offline"}])
def test_bad_arguments_are_refused(wrong: Any) -> None:
    with pytest.raises(MetricError, match="how often it asks"):
        fp.Metric(asks, **wrong)
