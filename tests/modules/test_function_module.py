"""Function: ordinary Python as a node."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import functools
import threading
from collections.abc import Callable
from typing import Any, Literal

import pydantic
import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError, LMServerError, ProgramError

Refused = Callable[..., FusionProgError]
Function = fp.modules.Function


class Hit(pydantic.BaseModel):
    title: str
    score: float


def search(query: str, k: int = 3) -> list[str]:
    """Finds passages."""
    return [f"{query} {index}" for index in range(k)]


async def search_slowly(query: str) -> list[str]:
    await asyncio.sleep(0)
    return [query]


def split(text: str, at: str) -> dict[str, str]:
    head, _, tail = text.partition(at)
    return {"tail": tail, "head": head}


def untyped(text, other=None):  # type: ignore[no-untyped-def]
    return text


class Searcher:
    """Something that can be called, and is no function."""

    async def __call__(self, query: str) -> str:
        return query.upper()


def outputs_of(module: fp.modules.Module, ask: Any, **inputs: Any) -> dict[str, Any]:
    return asyncio.run(module.run(inputs, ask))


def types_of(fields: Any) -> dict[str, Any]:
    return {name: field.annotation for name, field in fields.items()}


def test_inputs_are_read_from_the_function_and_outputs_are_as_declared() -> None:
    module = Function(search, outputs={"passages": list[str]})

    assert types_of(module.signature.input_fields) == {"query": str, "k": int}
    assert types_of(module.signature.output_fields) == {"passages": list[str]}
    assert module.signature.input_fields["query"].is_required()
    assert not module.signature.input_fields["k"].is_required()


def test_it_asks_no_model() -> None:
    module = Function(search, outputs={"passages": list[str]})

    assert module.prompted(module.signature) is None  # type: ignore[func-returns-value]
    assert module.kind == "Function"


def test_what_the_artifact_keeps() -> None:
    named = Function(search, name="wiki", version="2026-11", outputs={"passages": list[str]}, cache=False)

    assert Function(search_slowly, outputs={"p": str}).arguments() == {
        "name": "search_slowly",
        "version": "1",
        "cache": True,
    }
    assert named.arguments() == {"name": "wiki", "version": "2026-11", "cache": False, "defaults": {"k": 3}}
    assert named.signature.instructions == "Function wiki, version 2026-11."


def test_cache_says_whether_a_result_may_be_used_again() -> None:
    assert Function(search, outputs={"p": list[str]}).repeatable
    assert not Function(search, outputs={"p": list[str]}, cache=False).repeatable


def test_it_is_rebuilt_from_what_the_artifact_keeps(no_ask: Any) -> None:
    def on(day: datetime.date = datetime.date(2026, 1, 2)) -> str:
        return f"{day:%d.%m.}"

    module = Function(
        on, inputs={"day": datetime.date}, defaults={"day": datetime.date(2026, 1, 2)}, outputs={"t": str}
    )
    again = Function(on, inputs={"day": datetime.date}, outputs={"t": str}, **module.arguments())

    assert module.arguments()["defaults"] == {"day": "2026-01-02"}
    assert again.arguments() == module.arguments()
    assert again.signature.input_fields["day"].default == datetime.date(2026, 1, 2)
    assert outputs_of(again, no_ask) == {"t": "02.01."}


def test_a_value_is_the_only_output(no_ask: Any) -> None:
    module = Function(search, outputs={"passages": list[str]})

    assert outputs_of(module, no_ask, query="a", k=2) == {"passages": ["a 0", "a 1"]}


def test_an_input_that_is_left_out_takes_its_default(no_ask: Any) -> None:
    module = Function(search, outputs={"passages": list[str]})

    assert outputs_of(module, no_ask, query="a") == {"passages": ["a 0", "a 1", "a 2"]}


def test_the_only_output_may_be_given_by_name(no_ask: Any) -> None:
    module = Function(lambda text: {"loud": text.upper()}, name="shout", outputs={"loud": str})

    assert outputs_of(module, no_ask, text="a") == {"loud": "A"}


def test_a_mapping_that_is_the_only_output_stays_one(no_ask: Any) -> None:
    module = Function(lambda text: {"a": 1}, name="count", outputs={"counts": dict[str, int]})

    assert outputs_of(module, no_ask, text="a") == {"counts": {"a": 1}}


def test_several_outputs_come_in_the_order_of_their_declaration(no_ask: Any) -> None:
    module = Function(split, outputs={"head": str, "tail": str})

    assert list(outputs_of(module, no_ask, text="a=b", at="=").items()) == [("head", "a"), ("tail", "b")]


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (search_slowly, ["q"]),
        (functools.partial(search_slowly), ["q"]),
        (functools.partial(search, k=1), ["q 0"]),
        (lambda query: search_slowly(query), ["q"]),
        (Searcher().__call__, ["Q"]),
        (Searcher(), ["Q"]),
    ],
)
def test_all_kinds_of_functions_are_called(function: Any, result: list[str], no_ask: Any) -> None:
    module = Function(function, name="f", inputs={"query": str}, outputs={"found": Any})

    assert outputs_of(module, no_ask, query="q") == {"found": result if result != ["Q"] else "Q"}


def test_a_function_that_waits_does_not_stop_the_others(no_ask: Any) -> None:
    met = threading.Barrier(2, timeout=20)

    def wait(text: str) -> str:
        met.wait()
        return text

    module = Function(wait, outputs={"t": str})

    async def both() -> list[dict[str, Any]]:
        return await asyncio.gather(*(module.run({"text": text}, no_ask) for text in "ab"))

    assert asyncio.run(both()) == [{"t": "a"}, {"t": "b"}]


def test_context_variables_go_along(no_ask: Any) -> None:
    colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour")
    module = Function(lambda text: text + colour.get(), name="paint", outputs={"t": str})
    token = colour.set("red")
    try:
        assert outputs_of(module, no_ask, text="is ") == {"t": "is red"}
    finally:
        colour.reset(token)


def test_parameters_without_a_type_take_anything() -> None:
    module = Function(untyped, outputs={"t": str})

    assert types_of(module.signature.input_fields) == {"text": Any, "other": Any}


def test_declared_inputs_come_before_the_functions_own(no_ask: Any) -> None:
    module = Function(search, inputs={"query": str}, outputs={"passages": list[str]})

    assert list(module.signature.input_fields) == ["query"]
    assert outputs_of(module, no_ask, query="a") == {"passages": ["a 0", "a 1", "a 2"]}


def test_outputs_have_their_declared_types(no_ask: Any) -> None:
    module = Function(
        lambda text: [{"title": text, "score": 1}], name="find", outputs={"hits": list[Hit]}, inputs={"text": str}
    )

    assert outputs_of(module, no_ask, text="a") == {"hits": [Hit(title="a", score=1.0)]}


@pytest.mark.parametrize(
    ("kind", "value"),
    [(list[str], "one text"), (int, "many"), (Literal["a", "b"], "c"), (Hit, {"title": "t"}), (float, float("nan"))],
)
def test_an_output_of_another_type_is_an_error(kind: Any, value: Any, no_ask: Any, refused: Refused) -> None:
    module = Function(lambda text: value, name="find", outputs={"hits": kind})

    refused(ProgramError, lambda: outputs_of(module, no_ask, text="a"), "'find'", "'hits'", "another type")


def test_an_output_that_cannot_be_kept_in_json_is_an_error(no_ask: Any, refused: Refused) -> None:
    module = Function(lambda text: object(), name="find", outputs={"hits": Any})

    refused(ProgramError, lambda: outputs_of(module, no_ask, text="a"), "'find'", "'hits'", "kept in JSON")


@pytest.mark.parametrize("result", ["a", {"head": "a"}, {"head": "a", "tail": "b", "more": "c"}, None, ("a", "b")])
def test_other_outputs_than_declared_are_an_error(result: Any, no_ask: Any, refused: Refused) -> None:
    module = Function(lambda text: result, name="cut", outputs={"head": str, "tail": str})

    refused(
        ProgramError,
        lambda: outputs_of(module, no_ask, text="a"),
        "the function 'cut' returns other outputs",
        "['head', 'tail']",
        repr(result),
    )


def raising(error: Exception) -> Callable[[str], str]:
    def fail(text: str) -> str:
        raise error

    return fail


@pytest.mark.parametrize("error", [ValueError("no such page"), TimeoutError("slow"), KeyError("k"), StopIteration()])
def test_a_failing_function_is_named(error: Exception, no_ask: Any, refused: Refused) -> None:
    module = Function(raising(error), name="wiki", outputs={"t": str})

    async def in_time() -> dict[str, Any]:
        return await asyncio.wait_for(module.run({"text": "a"}, no_ask), 20)

    found = refused(
        ProgramError, lambda: asyncio.run(in_time()), "the function 'wiki' failed", str(error) or "StopIteration"
    )
    assert found.__cause__ is not None


def test_a_model_that_a_function_asks_and_that_cannot_answer_now_is_no_failure_of_the_function(no_ask: Any) -> None:
    def ask_another(text: str) -> str:
        raise LMServerError("the other model is down")

    module = Function(ask_another, name="other", version="1", outputs={"said": str})
    with pytest.raises(LMServerError, match="the other model is down"):
        outputs_of(module, no_ask, text="a")


def test_a_failing_async_function_is_named(no_ask: Any, refused: Refused) -> None:
    async def fail(text: str) -> str:
        raise ValueError("no such page")

    module = Function(fail, outputs={"t": str})

    refused(ProgramError, lambda: outputs_of(module, no_ask, text="a"), "the function 'fail' failed", "no such page")


def test_a_function_that_is_not_bound_says_how_to_bind_it(no_ask: Any, refused: Refused) -> None:
    module = Function(None, name="wiki", inputs={"query": str}, outputs={"passages": list[str]})

    refused(
        ProgramError,
        lambda: outputs_of(module, no_ask, query="a"),
        "the function 'wiki' is not bound",
        "functions={'wiki': your_function}",
    )


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Function(search, outputs={}), ["a name and outputs", "outputs={'field': type}"]),
        (lambda: Function(search, outputs=["passages"]), ["a name and outputs"]),  # type: ignore[arg-type]
        (lambda: Function(lambda q: q, outputs={"t": str}), ["a name and outputs", "name="]),
        (lambda: Function(Searcher(), outputs={"t": str}), ["a name and outputs", "name="]),
        (lambda: Function("search", outputs={"t": str}), ["cannot be called", "'search'"]),  # type: ignore[arg-type]
        (lambda: Function(None, name="wiki", outputs={"t": str}), ["'wiki' is not bound", "inputs={'field': type}"]),
        (lambda: Function(print, outputs={"t": str}), ["'print'", "given by name", "inputs={'field': type}"]),
        (lambda: Function(len, outputs={"t": int}), ["'len'", "given by name", "inputs={'field': type}"]),
        (lambda: Function(max, outputs={"t": int}), ["'max'", "cannot be read", "inputs={'field': type}"]),
        (
            lambda: Function(split, outputs={"text": str}),
            ["'split'", "an input and an output named 'text'", "Name the output otherwise"],
        ),
        (lambda: Function(split, outputs={"_head": str}), ["'split'", "fields that cannot be used", "underscore"]),
        (lambda: Function(split, outputs={"head": "text"}), ["'split'", "fields that cannot be used"]),
        (
            lambda: Function(search, inputs={"query": str}, defaults={"k": 3}, outputs={"p": str}),
            ["the default of 'k'", "'search'"],
        ),
        (
            lambda: Function(search, inputs={"k": int}, defaults={"k": "many"}, outputs={"p": str}),
            ["the default of 'k'", "'many'"],
        ),
    ],
)
def test_what_cannot_be_a_function_node_is_refused(make: Callable[[], Any], parts: list[str], refused: Refused) -> None:
    refused(ProgramError, make, *parts)


def unresolved(text: Unheard) -> str:  # type: ignore[name-defined]  # noqa: F821
    return "text"


def with_object(text: str, index: object = threading.Lock()) -> str:
    return text


def test_a_type_that_cannot_be_resolved_is_named(refused: Refused) -> None:
    refused(ProgramError, lambda: Function(unresolved, outputs={"t": str}), "'unresolved'", "Unheard", "inputs=")


def test_a_default_that_cannot_be_kept_is_named(refused: Refused, no_ask: Any) -> None:
    refused(ProgramError, lambda: Function(with_object, outputs={"t": str}), "the default of 'index'", "without it")

    module = Function(with_object, inputs={"text": str}, outputs={"t": str})
    assert outputs_of(module, no_ask, text="a") == {"t": "a"}
