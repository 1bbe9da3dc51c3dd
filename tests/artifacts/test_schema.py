"""The published JSON Schema says what the reader reads."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import fusionprog as fp
from fusionprog.artifacts.schema import SCHEMA_NAME, SCHEMA_VERSION, json_schema
from fusionprog.errors import ArtifactError


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_schema_is_that_of_the_code() -> None:
    published = importlib.resources.files("fusionprog.artifacts").joinpath("schemas", SCHEMA_NAME).read_text("utf-8")
    expected = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert published == expected, "publish it again: write json_schema() to the file"
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert str(SCHEMA_VERSION) in SCHEMA_NAME


def test_a_real_artifact_fits_the_schema(data: dict[str, Any], validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(data)
    assert data["$schema"] == SCHEMA_NAME


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "a part is missing": lambda d: d.pop("pool"),
    "no version": lambda d: d.pop("schema_version"),
    "no schema": lambda d: d.pop("$schema"),
    "another version": lambda d: d.update(schema_version=2),
    "an unknown part": lambda d: d.update(more=1),
    "an unknown field": lambda d: d["program"]["nodes"][0].update(more=1),
    "a text for a number": lambda d: d["compile"].update(seed="0"),
    "a text for lines": lambda d: d["tasks"]["shop"].update(description="x"),
    "a source of two kinds": lambda d: d["program"]["nodes"][0]["sources"].update(message={"input": "a", "field": "b"}),
    "a source of no kind": lambda d: d["program"]["nodes"][0]["sources"].update(message={}),
    "an unknown facet": lambda d: d["mixtures"]["shop"]["triage"]["facets"].update(tone=[]),
    "an item of no kind": lambda d: d["pool"][0].pop("kind"),
    "a gate above 1": lambda d: d["mixtures"]["shop"]["triage"]["gates"].update(hint=2),
    "temperature 0": lambda d: d["schedule"]["nodes"]["triage"].update(temperature=0),
    "no tasks": lambda d: d.update(tasks={}),
    "a weight below 0": lambda d: d["compile"].update(weights={"shop": -1}),
    "a front of something else": lambda d: d["compile"].update(front=[{"program": "as written"}]),
    "an unknown fusion": lambda d: d["schedule"].update(fusion="vote"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_schema_refuses_what_the_reader_refuses(
    name: str,
    data: dict[str, Any],
    validator: jsonschema.Draft202012Validator,
    write: Callable[[Path, dict[str, Any]], Path],
    tmp_path: Path,
) -> None:
    WRONG[name](data)
    assert not validator.is_valid(data)
    with pytest.raises(ArtifactError):
        fp.load(write(tmp_path / "wrong.json", data))
