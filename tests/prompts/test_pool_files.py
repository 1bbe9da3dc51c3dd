"""Pools as YAML and JSON files: they round trip, and a bad one is refused by its entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import fusionprog as fp
from fusionprog.builders import BalancedDemos, LabelGlossary
from fusionprog.errors import PoolError
from fusionprog.prompts.items import DemoSet, Fragment, Item
from fusionprog.prompts.pool import PromptPool, item_entry, item_from

ITEMS: list[Item] = [
    Fragment("plain", "Be brief.\nBe kind: {always}.", facet="constraint"),
    Fragment(
        "full",
        "Ünïcode ✓",
        facet="role",
        domains=["retail"],
        nodes=["triage", "answer"],
        pinned=True,
        requires=["plain"],
        conflicts=["by-domain"],
    ),
    Fragment("by-domain", facet="hint", texts={"retail": "R.", "no": "N."}, nodes=["answer"]),
    DemoSet("shots", [{"message": "a: b", "team": "x", "tags": ["1", 2, None]}, {"message": "c"}], node="triage"),
    DemoSet("pinned-shots", [{"message": "m"}], node="triage", domains=["retail"], pinned=True),
    LabelGlossary(words=4),
    BalancedDemos(per_label=3, id="mine", nodes=["triage"], pinned=True),
]


def same(one: Item, other: Item) -> bool:
    """Whether two items are alike in everything."""
    return type(one) is type(other) and vars(one) == vars(other)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_an_item_round_trips_through_its_entry(item: Item) -> None:
    entry = item_entry(item)
    assert same(item_from(json.loads(json.dumps(entry)), "entry 0"), item)
    assert same(item_from(yaml.safe_load(yaml.safe_dump(entry, sort_keys=False)), "entry 0"), item)


def test_an_entry_says_only_what_is_not_the_default() -> None:
    assert item_entry(ITEMS[0]) == {"id": "plain", "facet": "constraint", "text": "Be brief.\nBe kind: {always}."}
    assert item_entry(ITEMS[2]) == {
        "id": "by-domain",
        "facet": "hint",
        "texts": {"retail": "R.", "no": "N."},
        "nodes": ["answer"],
    }
    assert item_entry(LabelGlossary(words=4)) == {"family": "label-glossary", "words": 4, "id": "label-glossary-4"}


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_a_pool_round_trips_through_a_file(tmp_path: Path, suffix: str) -> None:
    data = {"items": [item_entry(item) for item in ITEMS]}
    text = json.dumps(data) if suffix == ".json" else yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    file = tmp_path / f"pool{suffix}"
    file.write_text(text, encoding="utf-8")
    read = list(PromptPool.from_file(file))
    assert [item.id for item in read] == [item.id for item in ITEMS]
    assert all(same(one, other) for one, other in zip(read, ITEMS, strict=True))
    assert [item.id for item in fp.PromptPool.from_file(str(file))] == [item.id for item in ITEMS]


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    for name in ("pool.json", "pool.yaml"):
        (tmp_path / name).write_text('{"items": [{"id": "a", "facet": "hint", "text": "A."}]}', encoding="utf-8-sig")
        assert "a" in PromptPool.from_file(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("items: [", "is neither YAML nor JSON"),
        ("", "is no pool: expected one list called 'items', found None"),
        ("- id: a", "is no pool: expected one list called 'items'"),
        ("items: {}", "is no pool"),
        ("items: []\nmore: 1", "is no pool: expected one list called 'items', found"),
        ("items: [short]", "entry 0 is no item: expected a mapping, found 'short'"),
        ("items: [{id: a, text: t}]", "entry 0 is no item: found missing 1 required keyword-only argument: 'facet'"),
        ("items: [{facet: hint, text: t}]", "entry 0 is no item: found missing 1 required positional argument: 'id'"),
        ("items: [{id: a, facet: hint, txt: t}]", "entry 0 is no item: found .*unexpected keyword argument 'txt'"),
        ("items: [{id: a, facet: hint, text: t, 1: 2}]", "entry 0 is no item: found keywords must be strings"),
        ("items: [{id: a, facet: hint, text: t}, {id: 7, facet: hint, text: t}]", "entry 1: 7 is no item id"),
        ("items: [{id: a, facet: hints, text: t}]", "entry 0: fragment 'a' has an unknown facet.*mean 'hint'"),
        ("items: [{id: a, facet: hint, texts: {no: t}}]", "entry 0: the texts of fragment 'a' are not by domain"),
        ("items: [{id: a, facet: hint, text: t, nodes: n}]", r"entry 0: nodes of 'a' is no list.*Write nodes=\[...\]"),
        ("items: [{id: a, facet: hint, text: t, nodes: }]", "entry 0: nodes of 'a' is no list of names: found None"),
        ("items: [{id: a, facet: hint, text: t, pinned: 'no'}]", "entry 0: pinned of 'a' is neither"),
        ("items: [{id: a, demos: [{m: x}]}]", "entry 0 is no item: found missing .*'node'"),
        ("items: [{id: a, node: n, demos: []}]", "entry 0: demonstration set 'a' is empty"),
        ("items: [{family: label-glosary}]", "entry 0: there is no family called 'label-glosary'.*'label-glossary'"),
        ("items: [{family: label-glossary, word: 3}]", "entry 0 is no item: found .*keyword argument 'word'"),
        ("items: [{family: label-glossary, words: x}]", "entry 0: words of a label glossary is not usable"),
        ("items: [{id: a, facet: hint, text: t}, {id: a, facet: role, text: t}]", "two items have the id 'a'"),
    ],
)
def test_a_bad_file_is_refused_by_its_entry(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PoolError, match=words) as caught:
        PromptPool.from_file(file)
    assert "two items" in words or str(file) in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=r"pool file '.*gone.yaml' cannot be read"):
        PromptPool.from_file(tmp_path / "gone.yaml")
    with pytest.raises(PoolError, match="cannot be read"):
        PromptPool.from_file(tmp_path)
    (tmp_path / "pool.json").write_text("items: []", encoding="utf-8")
    with pytest.raises(PoolError, match="is neither YAML nor JSON"):
        PromptPool.from_file(tmp_path / "pool.json")
    (tmp_path / "pool.yaml").write_bytes(b"items: [\xff\xfe]")
    with pytest.raises(PoolError, match="is neither YAML nor JSON"):
        PromptPool.from_file(tmp_path / "pool.yaml")


def test_a_file_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "pool.yaml").write_text("items: [!!python/object/apply:os.getcwd []]", encoding="utf-8")
    with pytest.raises(PoolError, match="is neither YAML nor JSON"):
        PromptPool.from_file(tmp_path / "pool.yaml")


@pytest.mark.parametrize("entry", ["text", None, ["id", "a"], 5])
def test_an_entry_is_a_mapping(entry: Any) -> None:
    with pytest.raises(PoolError, match="entry 3 is no item: expected a mapping"):
        item_from(entry, "entry 3")
