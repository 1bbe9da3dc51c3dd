"""Answers are read as DSPy's adapters read them, without a validator made per answer."""

from __future__ import annotations

import ast
import datetime
import decimal
import enum
import functools
import json
from collections.abc import Callable
from typing import Any, Literal, Optional, Union

import dspy
import pydantic
import pytest
from dspy.utils.exceptions import AdapterParseError
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionprog.errors import LMOutputError
from fusionprog.lm.dspy_adapters import PromptFormat
from fusionprog.lm.formats import value_reader
from fusionprog.lm.formats.answer_reader import ANSWERS, AnswerReader
from fusionprog.lm.formats.value_reader import decoded
from fusionprog.modules import ChainOfThought

ADAPTERS: dict[str, Any] = {
    "chat": dspy.ChatAdapter(use_json_adapter_fallback=False),
    "json": dspy.JSONAdapter(),
    "xml": dspy.XMLAdapter(),
}
every_format = pytest.mark.parametrize("form", ADAPTERS)


class Team(enum.Enum):
    MONEY = "billing dept"
    PARCELS = "delivery"


class Person(pydantic.BaseModel):
    name: str
    age: int
    tags: list[str] = []
    born: datetime.date | None = None


class Place(pydantic.BaseModel):
    town: str = pydantic.Field(alias="homeTown")
    streets: list[str] = pydantic.Field(alias="streetNames")


# A type, and values of it.
TYPES: dict[str, tuple[Any, list[Any]]] = {
    "str": (str, ["late", 'it\'s <b> & "so"', ""]),
    "int": (int, [3, -40]),
    "float": (float, [0.5, 1e30]),
    "bool": (bool, [True, False]),
    "literal": (Literal["yes", "no", "it is"], ["yes", "it is"]),
    "literal of numbers": (Literal[1, 2, "three"], [2, "three"]),
    "enum": (Team, [Team.MONEY, Team.PARCELS]),
    "date": (datetime.date, [datetime.date(2021, 3, 3), datetime.date(1999, 12, 31)]),
    "decimal": (decimal.Decimal, [decimal.Decimal("1.50"), decimal.Decimal(7)]),
    "list of texts": (list[str], [["a", "b, c"], []]),
    "dict": (dict[str, int], [{"a": 1, "b c": 2}, {}]),
    "optional int": (Optional[int], [5, None]),  # noqa: UP045
    "text or nothing": (str | None, ["late", None]),
    "int or text": (Union[int, str], [5, "five"]),  # noqa: UP007
    "model": (Person, [Person(name="Ann", age=3, tags=["x", "y"]), Person(name="<Bo>", age=0)]),
    "models": (list[Person], [[Person(name="Ann", age=3)], [Person(name="Bo", age=4), Person(name="C", age=5)]]),
    "model or nothing": (Person | None, [Person(name="Ann", age=3), None]),
    "list of enums": (list[Team], [[Team.MONEY], [Team.PARCELS, Team.MONEY]]),
    "any": (Any, [3, "a"]),
    "reasoning": (dspy.Reasoning, ["Because [1] it is late.", '"quoted"']),
}


class NoAdapter(dspy.ChatAdapter):
    def parse(self, signature: Any, completion: str) -> Any:
        raise AssertionError(f"left to the adapter: {completion!r}")


@functools.cache
def asked(*kinds: str) -> Any:
    fields: dict[str, Any] = {"text": (str, dspy.InputField())}
    fields |= {f"out{at}": (TYPES[kind][0], dspy.OutputField()) for at, kind in enumerate(kinds)}
    return dspy.Signature(fields, "Read the text.")


def written(form: str, signature: Any, *values: Any) -> str:
    outputs = dict(zip(signature.output_fields, values, strict=True))
    return str(ADAPTERS[form].format_assistant_message_content(signature, outputs))


@every_format
@pytest.mark.parametrize("kind", TYPES)
def test_validators_are_made_with_the_first_answer_only(form: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = ChainOfThought(asked(kind)).prompted(asked(kind))
    answers = [written(form, signature, "I think: [it] is so.", value) for value in TYPES[kind][1]]
    expected = [ADAPTERS[form].parse(signature, answer) for answer in answers]
    reader = AnswerReader(form, signature, NoAdapter())
    reader.read(answers[0])

    made: list[Any] = []
    monkeypatch.setattr(pydantic.TypeAdapter, "__init__", lambda self, type, **options: made.append(type))
    assert repr([reader.read(answer) for answer in answers]) == repr(expected)
    assert made == []


def outcome(read: Callable[[], Any]) -> str:
    """What came of it; a representation tells ``1`` from ``True`` and knows NaN."""
    try:
        return f"read {read()!r}"
    except (AdapterParseError, LMOutputError, ValueError, TypeError):
        return "refused"


def check_agreement(form: str, signature: Any, text: str, reader: AnswerReader | None = None) -> None:
    adapter = ADAPTERS[form]
    expected = outcome(lambda: dict(adapter.parse(signature, text)))
    own = outcome(lambda: ANSWERS[form](signature).read(text))
    if not (form == "json" and own == "refused" and not isinstance(decoded(text), dict)):  # the adapter's own search
        assert own == expected
    assert outcome(lambda: PromptFormat(form).reader(signature).read(text)) == expected
    if reader is not None:
        assert outcome(lambda: reader.read(text)) == expected


MANGLED: dict[str, Callable[[str], str]] = {
    "spaces around lines": lambda text: "\n".join(f"  {line}\t" for line in text.splitlines()),
    "blank lines": lambda text: text.replace("\n", "\n\n \n"),
    "not completed": lambda text: text.replace("[[ ## completed ## ]]", ""),
    "said twice": lambda text: f"{text}\n\n{text.replace('e', 'o')}",
    "other case": str.swapcase,
    "capitals": str.upper,
    "introduced": lambda text: f"Sure! Here is the answer:\n\n{text}",
    "commented": lambda text: f"{text}\nI hope [this] helps: {{x}}.",
    "fenced": lambda text: f"```json\n{text}\n```",
    "values fenced": lambda text: text.replace("]]\n", "]]\n```\n").replace("\n\n[[", "\n```\n\n[["),
    "on the header's line": lambda text: text.replace(" ## ]]\n", " ## ]] ").replace(">\n", ">").replace("\n<", "<"),
    "one out less": lambda text: text.replace("out0", "other"),
    "fields swapped": lambda text: text.replace("out0", "_").replace("out1", "out0").replace("_", "out1"),
    "python's quotes": lambda text: text.replace('"', "'"),
    "quoted": lambda text: text.replace("]]\n", "]]\n'").replace("\n\n[[", "'\n\n[["),
    "wrapped": lambda text: text.replace("yes", "Literal[yes]").replace("it is", "str['it is']"),
    "null": lambda text: text.replace("None", "null"),
    "entities": lambda text: text.replace("a", "&#97;").replace("'", "&apos;"),
    "unknown entity": lambda text: text.replace("e", "&eacute;"),
    "more elements": lambda text: text.replace("<item>", "<item><b>x</b>").replace(">\n", "><i>y</i>\n"),
    "other elements": lambda text: text.replace("item>", "entry>").replace("<name>", '<entry key="name">'),
    "cut": lambda text: text[: len(text) * 2 // 3],
    "trailing comma": lambda text: text.replace("\n}", ",\n}").replace("]\n", ",]\n"),
    "numbers as text": lambda text: text.replace("3", '"3"'),
    "other line ends": lambda text: text.replace("\n", "\r\n").replace(" ", "\u2028", 1),
}
TEXT = st.one_of(
    st.text(max_size=12),
    st.lists(st.sampled_from(["[[ ## out1 ## ]]", '{"a": 1}', "[x]", "<b>", "&", "'", '"', "\\d", "null", "5"])).map(
        " ".join
    ),
)


def values(kind: str) -> st.SearchStrategy[Any]:
    known = st.sampled_from(TYPES[kind][1])
    more: dict[str, st.SearchStrategy[Any]] = {
        "str": TEXT,
        "int": st.integers(),
        "float": st.floats(),
        "date": st.dates(),
        "decimal": st.decimals(),
        "list of texts": st.lists(TEXT, max_size=3),
        "dict": st.dictionaries(TEXT, st.integers(), max_size=3),
        "text or nothing": TEXT,
        "int or text": st.integers() | TEXT,
        "model": st.builds(Person, name=TEXT, age=st.integers(), born=st.none() | st.dates()),
        "any": st.recursive(st.integers() | TEXT | st.none(), st.lists, max_leaves=4),
        "reasoning": TEXT,
    }
    return known | TEXT | more.get(kind, known)


@every_format
@settings(max_examples=150)
@given(data=st.data())
def test_readers_agree_with_the_adapters(form: str, data: st.DataObject) -> None:
    kinds = [data.draw(st.sampled_from(list(TYPES)), label="type") for _ in range(2)]
    signature = asked(*kinds)
    text = written(form, signature, *[data.draw(values(kind), label="value") for kind in kinds])
    for how in data.draw(st.lists(st.sampled_from(list(MANGLED)), max_size=3), label="mangled"):
        text = MANGLED[how](text)
    check_agreement(form, signature, text, kept_reader(form, *kinds))


@functools.cache
def kept_reader(form: str, *kinds: str) -> AnswerReader:
    """A reader of many answers: none may change what it makes of the next."""
    return PromptFormat(form).reader(asked(*kinds))


@every_format
@pytest.mark.parametrize("kind", TYPES)
def test_every_kind_is_read_alike_when_mangled(form: str, kind: str) -> None:
    signature = asked(kind, "literal")
    for value in TYPES[kind][1]:
        text = written(form, signature, value, "it is")
        for mangle in MANGLED.values():
            check_agreement(form, signature, mangle(text))


PIECES = ["[[ ## out0 ## ]]", "[[ ## out1 ## ]]", "[[ ## other ## ]]", "[[ ## completed ## ]]", "[[ ## out0", "x: y"]
PIECES += ["yes", "'no'", "it is", "", "  [[ ## out0 ## ]] no", "Literal[yes]", "\t", "\u2028", "\x0c"]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("\n".join))
def test_chat_sections_are_told_apart_alike(text: str) -> None:
    check_agreement("chat", asked("literal", "str"), text)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (str | Person, "<out><name>Ann</name><age>3</age></out>"),
        (str | Person, "<out>Ann</out>"),
        (int | list[int], "<out><item>3</item><item>4</item></out>"),
        (list[str] | None, "<out>  </out>"),
        (list[str], "<out>a</out><out>b</out>"),
        (list[str], "<out>['a', 'b']</out>"),
        (list[list[int]], "<out><item><item>1</item></item><item/></out>"),
        (tuple[int, str], "<out><item>1</item><item>b</item></out>"),
        (dict[str, list[int]], '<out><entry key="a b"><item>1</item></entry><c>2</c></out>'),
        (dict[str, Any], "<out><a><b>1</b></a></out>"),
        (Person, "<out><name>Ann</name><age>3</age><tags>x</tags><tags>y</tags></out>"),
        (Person, "<out>{'name': 'Ann', 'age': 3}</out>"),
        (Place, "<out><homeTown>Rome</homeTown><streetNames><item>Via</item></streetNames></out>"),
        (Place, "<out><town>Rome</town><streets><item>Via</item></streets></out>"),
        (Place, "<out><town>Rome</town><streets/></out>"),
        (str, "<out>so <b>very</b> <i/>late</out>"),
        (str, "<out>a</out><out>b</out>"),
        (str, "<out><![CDATA[<b> & so]]></out><!-- said -->"),
    ],
)
def test_elements_are_read_alike(annotation: Any, text: str) -> None:
    signature = dspy.Signature({"text": (str, dspy.InputField()), "out": (annotation, dspy.OutputField())}, "Read it.")
    check_agreement("xml", signature, text)


Defaults: Any = dspy.Signature(
    {
        "text": (str, dspy.InputField()),
        "team": (Literal["billing", "delivery"], dspy.OutputField()),
        "tags": (list[str], dspy.OutputField(default_factory=list)),
        "note": (str | None, dspy.OutputField()),
        "score": (float, dspy.OutputField(default=0.5)),
    },
    "Read the text.",
)
LEFT_OUT = {
    "chat": ("[[ ## team ## ]]\nbilling", "[[ ## note ## ]]\nx"),
    "json": ('{"team": "billing"}', '{"note": "x"}'),
    "xml": ("<team>billing</team>", "<note>x</note>"),
}


@every_format
def test_what_may_be_left_out_takes_its_default(form: str) -> None:
    reader = AnswerReader(form, Defaults, NoAdapter())
    first, second = reader.read(LEFT_OUT[form][0]), reader.read(LEFT_OUT[form][0])
    assert first == {"team": "billing", "tags": [], "note": None, "score": 0.5}
    assert list(first) == list(Defaults.output_fields)
    assert first["tags"] is not second["tags"]


@every_format
def test_an_answer_without_a_required_field_says_what_was_expected(form: str) -> None:
    reader = PromptFormat(form).reader(Defaults)
    with pytest.raises(LMOutputError, match=f"expected the fields team, tags, note, score in {form} format") as caught:
        reader.read(LEFT_OUT[form][1])
    assert isinstance(caught.value.__cause__, AdapterParseError)


@every_format
@pytest.mark.parametrize("text", ["[" * 100_000, "-" * 5_000 + "1", "-" * 200_000 + "1", "(" * 5_000, "[{" * 1_000])
def test_what_a_model_repeats_without_end_is_no_answer(form: str, text: str) -> None:
    whole = {"chat": f"[[ ## out0 ## ]]\n{text}", "json": f'{{"out0": "{text}"}}', "xml": f"<out0>{text}</out0>"}
    with pytest.raises(LMOutputError, match="expected the fields out0"):
        PromptFormat(form).reader(asked("int")).read(whole[form])


def test_an_object_beside_a_list_is_found_by_the_adapter() -> None:
    text = f"Of the labels [1, 2] I choose {json.dumps({'team': 'billing'})}."
    with pytest.raises(ValueError, match="no JSON object"):
        ANSWERS["json"](Defaults).read(text)
    assert PromptFormat("json").reader(Defaults).read(text)["team"] == "billing"


class Strict(pydantic.BaseModel):
    code: str

    @pydantic.field_validator("code")
    @classmethod
    def known(cls, code: str) -> str:
        return {"a": "alpha"}[code]


@every_format
def test_what_a_type_itself_raises_is_not_hidden(form: str) -> None:
    signature = dspy.Signature({"text": (str, dspy.InputField()), "out": (Strict, dspy.OutputField())}, "Read it.")
    made = Strict.model_construct(code="b")
    with pytest.raises(KeyError, match="b"):
        PromptFormat(form).reader(signature).read(written(form, signature, made))


def test_where_python_mixes_up_its_threads_a_value_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    mistakes = iter([SystemError("AST constructor recursion depth mismatch (before=60, after=59)")] * 2)
    original = ast.literal_eval

    def literal_eval(text: str) -> Any:
        for mistake in mistakes:
            raise mistake
        return original(text)

    monkeypatch.setattr(ast, "literal_eval", literal_eval)
    assert value_reader._literal("(1, 2)") == (1, 2)

    def broken(text: str) -> Any:
        raise SystemError("something else")

    monkeypatch.setattr(ast, "literal_eval", broken)
    with pytest.raises(SystemError):
        value_reader._literal("(1, 2)")
