"""What docs/dspy.md shows runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import dspy
import pytest

import fusionprog as fp
from fusionprog.testing import engine, offline_text

PAGE = (Path(__file__).parent.parent / "docs" / "dspy.md").read_text(encoding="utf-8")
_WORDS = {
    "shop": {"billing": "invoice voucher", "delivery": "parcel courier", "technical": "login crash"},
    "bank": {"cards": "plastic pin", "loans": "mortgage borrow", "fraud": "scam phishing"},
}


def _rows(task: str, split: str, count: int) -> list[dict[str, str]]:
    return [
        {"message": f"{split} {index}: something about the {word} here", "team": team}
        for team, words in _WORDS[task].items()
        for index in range(count)
        for word in words.split()
    ]


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain, awaited = engine(offline_text())
    offline = dspy.LM("test/offline", engine=plain, async_engine=awaited, cache=False)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    assert code.count('dspy.LM("openai/gpt-4o-mini")') == code.count('lm="openai/gpt-4o-mini"') == 1
    code = code.replace('dspy.LM("openai/gpt-4o-mini")', "offline").replace('lm="openai/gpt-4o-mini"', 'lm="offline"')
    examples = {
        split: [dspy.Example(**row).with_inputs("message") for row in _rows("shop", split, 8)] for split in "tv"
    }
    names: dict[str, object] = {
        "offline": offline,
        "trainset": examples["t"],
        "valset": examples["v"],
        "shop_examples": examples["v"],
        **{f"{task}_{split}": _rows(task, split, 8) for task in _WORDS for split in ("train", "val")},
    }
    exec(compile(code, "dspy.md", "exec", dont_inherit=True), names)
    better, compiled, module = (names[name] for name in ("better", "compiled", "module"))
    assert isinstance(better.fusion, fp.CompiledProgram)  # type: ignore[attr-defined]
    assert isinstance(compiled, fp.CompiledProgram) and set(compiled.tasks) == {"shop", "bank"}
    found = dspy.Evaluate(devset=examples["v"], metric=names["metric"], display_progress=False)(module)
    rows = [example.toDict() for example in examples["v"]]
    assert found.score == round(100 * compiled.evaluate("shop", data=rows).score.mean, 2)
