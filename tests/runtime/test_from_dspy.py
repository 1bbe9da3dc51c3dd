"""``from_dspy``: predictors become nodes, and ``forward`` runs as it is."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel

import fusionprog as fp
from fusionprog.errors import LMError, LMOutputError, ProgramError
from fusionprog.lm.client import LMClient
from fusionprog.lm.dspy_predictors import Watch
from fusionprog.program.calling import let_call
from fusionprog.program.graph import FieldRef, ProgramGraph
from fusionprog.program.task import bind
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Executor, Trace
from fusionprog.runtime.render import Renderer, TaskView
from fusionprog.store.store import Store
from fusionprog.testing import TextModel
from fusionprog.testing import engine as text_engine


class Reviewed(dspy.Module):
    """Drafts until the critic is content, at most three times; a branch ends it early."""

    def __init__(self) -> None:
        super().__init__()
        self.draft = dspy.Predict("topic, advice -> text")
        self.critics = [dspy.ChainOfThought("text -> verdict")]

    def forward(self, topic: str, rounds: int = 3) -> dspy.Prediction:
        if topic == "nothing":
            return dspy.Prediction(text="", drafts=0)
        advice = "none"
        for count in range(1, rounds + 1):  # noqa: B007
            text = self.draft(topic=topic, advice=advice).text
            advice = self.critics[0](text=text).verdict
            if advice == "good":
                break
        return dspy.Prediction(text=text, drafts=count)


def say(**fields: Any) -> str:
    return "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items())


def reviewer(messages: Any) -> str:
    """Drafts get longer with every advice; the critic likes the third."""
    last = messages[-1]["content"]
    if "[[ ## advice ## ]]" in last:
        return say(text="more " * (1 + last.count("go on")) if "again" not in last else "final")
    return say(reasoning="hm", verdict="good" if "final" in last else "again" if "more more" in last else "go on")


def run(
    graph: ProgramGraph, answer: Callable[[Any], Any] | TextModel, store: Store | None = None, **inputs: Any
) -> Trace:
    """One run of all nodes on a model that a function plays."""
    program = bind(graph, fp.Task("shop", metric=fp.metrics.exact_match("text")))
    prompts = Renderer({}).prompts(Schedule(), TaskView("shop", "shop", program, ()))
    models = dict.fromkeys(prompts, answer if isinstance(answer, TextModel) else TextModel(answer))

    async def one() -> Trace:
        return await Executor(LMClient(store)).run(program, prompts, models, inputs, program.graph.order())

    return asyncio.run(one())


def module(forward: Callable[..., Any], **parts: Any) -> dspy.Module:
    """A module with a ``forward`` of its own and the predictors that are named."""

    def init(self: Any) -> None:
        dspy.Module.__init__(self)
        vars(self).update(parts or {"ask": dspy.Predict("question -> answer")})

    name = "aforward" if asyncio.iscoroutinefunction(forward) else "forward"
    made: dspy.Module = type("Written", (dspy.Module,), {"__init__": init, name: forward})()
    return made


# Structure.


def test_predictors_are_nodes_and_forward_calls_them() -> None:
    graph = fp.from_dspy(Reviewed(), calls={"draft": 3, "critics.0.predict": 2})
    assert list(graph.nodes) == ["draft", "critics.0.predict", "forward"]
    assert [graph.nodes[name].called_by for name in graph.nodes] == ["forward", "forward", None]
    assert [graph.nodes[name].calls for name in graph.nodes] == [3, 2, 1]
    assert list(graph.inputs) == ["topic", "rounds"]
    assert graph.inputs["rounds"].default == 3 and not graph.inputs["rounds"].required
    assert set(graph.needed(graph.outputs.values())) == set(graph.nodes)
    assert "reasoning" in graph.nodes["critics.0.predict"].signature.output_fields


def test_the_inputs_of_a_bare_predictor_are_its_own() -> None:
    graph = fp.from_dspy(dspy.ChainOfThought("question, hint: int -> answer"))
    assert {name: each.annotation for name, each in graph.inputs.items()} == {"question": str, "hint": int}
    assert list(fp.from_dspy(dspy.Predict("a -> b")).nodes) == ["self", "forward"]


def test_inputs_that_forward_names_are_not_left_out() -> None:
    written = module(lambda self, message, account, **rest: {}, ask=dspy.Predict("message -> team"))
    written.signature = dspy.Signature("message -> team")
    with pytest.raises(ProgramError, match="Pass inputs="):
        fp.from_dspy(written)


def test_the_inputs_of_a_module_that_takes_any_are_those_of_its_signature() -> None:
    agent = dspy.ReAct("question, hint: int -> answer", tools=[])
    graph = fp.from_dspy(agent, calls={"react": 20})
    assert {name: each.annotation for name, each in graph.inputs.items()} == {"question": str, "hint": int}


def test_keys_and_places_are_paths() -> None:
    parts = {"steps": {"one": dspy.Predict("a -> b")}, "others": [dspy.Predict("a -> b"), dspy.Predict("a -> c")]}
    graph = fp.from_dspy(module(lambda self, a: None, **parts))
    assert list(graph.nodes) == ["steps.one", "others.0", "others.1", "forward"]


class Picture(BaseModel):
    image: dspy.Image


class WithPicture(dspy.Signature):
    picture: Picture = dspy.InputField()
    answer: str = dspy.OutputField()


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: fp.from_dspy(Reviewed), ["the class Reviewed", "Reviewed()"]),
        (lambda: fp.from_dspy("a -> b"), ["no dspy.Module", "str"]),
        (lambda: fp.from_dspy(module(lambda self, a: None, other=1)), ["no predictors", "__init__"]),
        (lambda: fp.from_dspy(module(lambda self, *a: None)), ["forward()", "*a", "inputs="]),
        (lambda: fp.from_dspy(module(lambda self: None)), ["forward()", "inputs="]),
        (lambda: fp.from_dspy(Reviewed(), calls={"critic": 2}), ["'critic'", "Known are"]),
        (lambda: fp.from_dspy(Reviewed(), calls=0), ["whole number, 1 or more", "0"]),
        (lambda: fp.from_dspy(Reviewed(), outputs={"topic": str}), ["input and an output", "'topic'"]),
        (lambda: fp.from_dspy(dspy.Predict("a -> b", temperature=0.7)), ["'self'", "temperature", "lm.copy"]),
        (lambda: fp.from_dspy(dspy.Predict("question, history: dspy.History -> answer")), ["self.history", "History"]),
        (lambda: fp.from_dspy(dspy.Predict("question, tools: list[dspy.Tool] -> answer")), ["self.tools", "Tool"]),
        (lambda: fp.from_dspy(dspy.Predict(WithPicture)), ["self.picture", "Image"]),
    ],
)
def test_what_cannot_be_compiled_is_refused(make: Callable[[], Any], parts: list[str]) -> None:
    with pytest.raises(ProgramError) as caught:
        make()
    assert [part for part in parts if part not in str(caught.value)] == [], str(caught.value)


def test_a_frozen_part_is_refused_with_the_way_to_leave_it_alone() -> None:
    made = Reviewed()
    made.critics[0]._compiled = True
    with pytest.raises(ProgramError, match=r"critics\[0\].*freeze="):
        fp.from_dspy(made)


def test_nothing_may_read_or_feed_what_code_calls() -> None:
    graph = fp.from_dspy(Reviewed())
    with pytest.raises(ProgramError, match="code of 'forward' calls it"):
        graph.connect("topic", "draft.topic")
    with pytest.raises(ProgramError, match=r"no node makes 'draft\.text'"):
        graph.resolve("draft.text")
    plain = fp.ProgramGraph()
    plain.add("one", fp.modules.Predict("a -> b"))
    plain.add("two", fp.modules.Predict("a -> b"))
    with pytest.raises(ProgramError, match="'one' calls no nodes"):
        let_call(plain, "one", "two")


# Running.


def test_forward_runs_with_its_loops_and_branches() -> None:
    graph = fp.from_dspy(Reviewed(), calls=3)
    trace = run(graph, reviewer, topic="rain")
    assert trace.prediction(graph.outputs).toDict() == {
        "forward.text": "final",
        "forward.drafts": 3,
        "text": "final",
        "drafts": 3,
    }
    assert len(trace.calls) == 6
    assert [visit["advice"] for visit in trace.visits["draft"]] == ["again", "go on", "none"]
    short = run(graph, reviewer, topic="nothing")
    assert short.prediction(graph.outputs).drafts == 0 and not short.calls
    once = run(graph, reviewer, topic="rain", rounds=1)
    assert once.prediction(graph.outputs).drafts == 1


def test_outputs_that_are_declared_are_checked_and_nothing_else_is_shown() -> None:
    graph = fp.from_dspy(Reviewed(), calls=3, outputs={"drafts": int})
    assert run(graph, reviewer, topic="rain").prediction(graph.outputs).toDict() == {"forward.drafts": 3, "drafts": 3}
    wrong = fp.from_dspy(Reviewed(), calls=3, outputs={"text": Literal["other"]})
    with pytest.raises(ProgramError, match=r"returns 'text' with another type.*final"):
        run(wrong, reviewer, topic="rain")
    missing = fp.from_dspy(Reviewed(), calls=3, outputs={"summary": str})
    with pytest.raises(ProgramError, match=r"does not return the output 'summary'.*text, drafts"):
        run(missing, reviewer, topic="rain")
    with pytest.raises(ProgramError, match=r"returns no outputs.*found str"):
        run(fp.from_dspy(module(lambda self, question: "text")), reviewer, question="?")


def test_more_calls_than_declared_are_an_error_that_says_what_to_pass() -> None:
    with pytest.raises(ProgramError, match=r"called 'draft' more often.*at most 2.*calls=\{'draft': n\}"):
        run(fp.from_dspy(Reviewed(), calls=2), reviewer, topic="rain")


def test_repeated_calls_are_one_unless_a_rollout_is_named() -> None:
    def forward(self: Any, question: str, different: bool) -> Any:
        configs = [{"rollout_id": number if different else 0} for number in range(3)]
        return {"text": [self.ask(question=question, config=config).answer for config in configs]}

    model = TextModel(lambda messages: say(answer="x"))
    graph = fp.from_dspy(module(forward), calls=3)
    with Store(None) as store:
        assert len(run(graph, model, store, question="?", different=False).calls) == 1
        assert len(run(graph, model, store, question="?", different=True).calls) == 3
    assert model.counts["ok"] == 3


def test_threads_of_dspy_change_nothing() -> None:
    def forward(self: Any, question: str) -> Any:
        pairs = [(self.ask, {"question": f"{question} {number}"}) for number in range(4)]
        return {"text": [each.answer for each in dspy.Parallel(num_threads=4, disable_progress_bar=True)(pairs)]}

    def answer(messages: Any) -> str:
        return say(answer=messages[-1]["content"].split("\n")[1][-1])

    graph, model = fp.from_dspy(module(forward), calls=4), TextModel(answer)
    with Store(None) as store:
        traces = [run(graph, model, store, question="how?") for _ in range(3)]
    assert traces[0].fields[FieldRef("forward", "text")] == ["0", "1", "2", "3"]
    assert {tuple(trace.calls) for trace in traces} == {tuple(sorted(traces[0].calls))}
    assert traces[0].visits == traces[1].visits == traces[2].visits


def in_threads(self: Any, question: str) -> Any:
    with ThreadPoolExecutor(2) as threads:
        contexts = [contextvars.copy_context() for _ in range(3)]
        asked = [threads.submit(each.run, lambda: self.ask(question=question).answer) for each in contexts]
    return {"text": [each.result() for each in asked]}


def test_threads_with_the_context_of_forward_change_nothing() -> None:
    trace = run(fp.from_dspy(module(in_threads), calls=3), lambda messages: say(answer="x"), question="how?")
    assert trace.fields[FieldRef("forward", "text")] == ["x"] * 3


def in_plain_threads(self: Any, question: str) -> Any:
    with ThreadPoolExecutor(2) as threads:
        return {"text": list(threads.map(lambda n: self.ask(question=question).answer, range(3)))}


def in_a_thread_that_hides_it(self: Any, question: str) -> Any:
    def work() -> None:
        with contextlib.suppress(BaseException):
            self.ask(question=question)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return {"text": "none"}


def under_an_adapter(self: Any, question: str) -> Any:
    with dspy.context(adapter=dspy.JSONAdapter(), lm=self.ask.lm):
        return {"text": self.ask(question=question).answer}


async def under_an_adapter_async(self: Any, question: str) -> Any:
    with dspy.context(adapter=dspy.JSONAdapter(), lm=self.ask.lm):
        return {"text": (await self.ask.acall(question=question)).answer}


@pytest.mark.parametrize(
    "forward", [in_plain_threads, in_a_thread_that_hides_it, under_an_adapter, under_an_adapter_async]
)
def test_calls_that_nobody_could_answer_for_are_not_made(forward: Any) -> None:
    """They would go to the LM that DSPy has or the predictor keeps: in no budget, no store, and with no item shown."""

    class Own:
        def complete(self, request: Any) -> Any:
            raise AssertionError("the predictor's own model was asked")

    written = module(forward)
    written.set_lm(dspy.LM("mine/m", engine=Own(), cache=False))

    with pytest.raises(ProgramError, match=r"where nobody can answer.*Use dspy\.Parallel"):
        run(fp.from_dspy(written, calls=3), lambda messages: say(answer="x"), question="how?")
    assert written.ask.callbacks == []


def test_who_else_uses_the_predictors_is_left_alone() -> None:
    """A metric may, and so may a thread of the application that was there before."""
    written = module(lambda self, question: {"text": self.ask(question=question).answer})
    answers: list[str] = []
    asked, answered = threading.Event(), threading.Event()
    engine, _ = text_engine(lambda messages: say(answer="another's"))
    written.set_lm(dspy.LM("mine/m", engine=engine, cache=False))

    def use() -> None:
        asked.wait(20)
        answers.append(written.ask(question="?").answer)
        answered.set()

    def answer(messages: Any) -> str:
        asked.set()
        answered.wait(20)
        return say(answer="x")

    thread = threading.Thread(target=use)
    thread.start()
    trace = run(fp.from_dspy(written), answer, question="how?")
    thread.join()
    assert trace.fields[FieldRef("forward", "text")] == "x" and answers == ["another's"]


def test_predictors_that_several_programs_run_are_free_when_all_have_ended() -> None:
    predictor = dspy.Predict("question -> answer")
    watches = [Watch([predictor]) for _ in range(4)]

    def work(watch: Watch) -> None:
        for _ in range(200):
            with watch.watching(lambda error: None):
                pass

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, watches * 2))
    assert predictor.callbacks == []


def test_a_program_of_a_module_can_be_copied() -> None:
    graph = copy.deepcopy(fp.from_dspy(Reviewed(), calls=3))
    assert run(graph, reviewer, topic="rain").fields[FieldRef("forward", "text")] == "final"


def test_a_module_that_is_async_is_awaited() -> None:
    async def aforward(self: Any, question: str) -> Any:
        first, second = await asyncio.gather(self.ask.acall(question=question), self.ask.acall(question="b"))
        return dspy.Prediction(text=first.answer + second.answer)

    trace = run(fp.from_dspy(module(aforward), calls=2), lambda messages: say(answer="x"), question="a")
    assert trace.fields[FieldRef("forward", "text")] == "xx"

    async def wrong(self: Any, question: str) -> Any:
        return {"text": self.ask(question=question).answer}

    with pytest.raises(ProgramError, match="without awaiting"):
        run(fp.from_dspy(module(wrong)), lambda messages: say(answer="x"), question="a")


# What goes wrong.


def test_an_unreadable_answer_ends_the_run_as_it_does_in_a_graph() -> None:
    trace = run(fp.from_dspy(Reviewed(), calls=3), lambda messages: "mumble", topic="rain")
    assert isinstance(trace.error, LMOutputError) and trace.error.status == "unreadable"
    assert len(trace.calls) == 1 and not trace.fields


def test_code_may_catch_an_unreadable_answer_as_dspys_own_error() -> None:
    def forward(self: Any, question: str) -> Any:
        try:
            return {"text": self.ask(question=question).answer}
        except AdapterParseError:
            return {"text": "nobody knows"}

    trace = run(fp.from_dspy(module(forward)), lambda messages: "mumble", question="?")
    assert trace.error is None and trace.fields[FieldRef("forward", "text")] == "nobody knows"


def test_code_cannot_hide_that_a_model_failed() -> None:
    def forward(self: Any, question: str) -> Any:
        try:
            return {"text": self.ask(question=question).answer}
        except Exception:
            return {"text": "nobody knows"}

    def fail(messages: Any) -> str:
        raise LMError("the line is dead")

    with pytest.raises(LMError, match="the line is dead"):
        run(fp.from_dspy(module(forward)), fail, question="?")


def test_code_that_fails_is_an_error_that_names_it() -> None:
    def forward(self: Any, question: str) -> Any:
        return {"text": int(self.ask(question=question).answer)}

    with pytest.raises(ProgramError, match=r"forward\(\) of 'Written' failed.*invalid literal"):
        run(fp.from_dspy(module(forward)), lambda messages: say(answer="many"), question="?")


@pytest.mark.parametrize("times", [3, 9])
def test_where_python_mixes_up_its_threads_forward_runs_again(times: int) -> None:
    """CPython before 3.11.8 does, where code in several threads parses signatures, as ``dspy.ReAct`` does."""
    mistakes = iter([SystemError("AST constructor recursion depth mismatch (before=60, after=59)")] * times)

    def forward(self: Any, question: str) -> Any:
        answer = self.ask(question=question).answer
        for mistake in mistakes:
            raise mistake
        return {"text": answer}

    model = TextModel(lambda messages: say(answer="x"))
    with Store(None) as store:
        if times > 5:
            with pytest.raises(ProgramError, match="recursion depth mismatch"):
                run(fp.from_dspy(module(forward)), model, store, question="?")
        else:
            assert run(fp.from_dspy(module(forward)), model, store, question="?").fields[FieldRef("forward", "text")]
    assert model.counts["ok"] == 1


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda self, question: dspy.Predict("question -> answer")(question=question), "does not own"),
        (lambda self, question: self.ask(question=question, config={"temperature": 1.0}), "temperature"),
        (lambda self, question: self.ask(question=question, demos=[]), "demos"),
        (lambda self, question: self.ask(question=question, signature="question -> answer"), "signature"),
        (lambda self, question: self.ask(question=question, lm=dspy.LM("openai/x")), "lm"),
        (lambda self, question: {"text": dspy.settings.lm("hello")}, "asks a model directly"),
    ],
)
def test_what_the_search_could_not_see_is_refused(call: Any, part: str) -> None:
    with pytest.raises(ProgramError, match=part):
        run(fp.from_dspy(module(call)), lambda messages: say(answer="x"), question="?")


def test_a_run_that_is_cancelled_lets_its_threads_go() -> None:
    released = threading.Event()

    def forward(self: Any, question: str) -> Any:
        try:
            return self.ask(question=question)
        except BaseException:
            released.set()
            raise

    asked = asyncio.Event()

    async def hang(inputs: Any, /, *, sample: int = 0, node: str | None = None) -> dict[str, Any]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def cancelled() -> None:
        code = fp.from_dspy(module(forward)).nodes["forward"].module
        task = asyncio.ensure_future(code.run({"question": "?"}, hang))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert released.wait(20)


# The program as written.


def test_instructions_and_demonstrations_are_the_program_as_written() -> None:
    made = Reviewed()
    made.draft.signature = made.draft.signature.with_instructions("Write one line.")
    made.draft.demos = [
        dspy.Example(topic="sun", advice="none", text="Bright.", augmented=True),
        dspy.Example(topic="no output, which DSPy does not show either"),
    ]
    seen: list[Any] = []

    def answer(messages: Any) -> str:
        seen.append(messages)
        return reviewer(messages)

    run(fp.from_dspy(made, calls=3), answer, topic="rain", rounds=1)
    drafted = next(messages for messages in seen if "advice" in messages[-1]["content"])
    adapter = dspy.ChatAdapter()
    inputs = {"topic": "rain", "advice": "none"}
    assert [dict(each) for each in drafted] == adapter.format(made.draft.signature, made.draft.demos, inputs)
    assert "Bright." in drafted[2]["content"] and len(drafted) == 4


def test_written_demonstrations_with_labels_of_another_task_are_left_out() -> None:
    graph = fp.ProgramGraph()
    demos = [{"text": "a", "label": "x"}, {"text": "b", "label": "z"}]
    graph.add("one", fp.modules.Predict("text -> label", demos=demos))
    graph.connect("text", "one.text")
    metric = fp.metrics.exact_match("label")
    assert len(bind(graph, fp.Task("all", metric=metric)).demos("one")) == 2
    assert [
        demo["label"]
        for demo in bind(graph, fp.Task("few", metric=metric, labels={"one.label": ["x", "y"]})).demos("one")
    ] == ["x"]


def test_rows_say_of_a_called_node_what_its_names_say() -> None:
    program = bind(fp.from_dspy(Reviewed()), fp.Task("t", metric=fp.metrics.exact_match("text")))
    columns = {"topic": "rain", "text": "Wet.", "rounds": 2, "verdict": "good", "other": 1}
    assert program.node_row("draft", columns) == {"topic": "rain", "text": "Wet."}
    assert program.node_row("critics.0.predict", columns) == {"text": "Wet.", "verdict": "good"}
