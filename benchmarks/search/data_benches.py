"""Benchmarks on real data, read by the offline reader: label-typed tasks out of a folder of data sets.

The folder holds ``clinc150``, ``hwu64``, ``banking77``, ``product_reviews``, ``bbh`` and ``legalbench``, each as JSON
lines; nothing of it is copied.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fusionprog as fp
from fusionprog.lm.offline import OfflineReader
from search.benches import BENCHES, Bench, Rows, Splits, make_task

_MOST_LABELS = 12  # of a task of BIG-Bench Hard whose answers count as labels
_LEAST_ROWS = 20  # training rows of a source of LegalBench that is a task
_BUILT_FROM = 1 / 3  # share of rows to build fragments from, where train and val are cut anew
_OUT_OF_SCOPE = "oos"  # the folder of CLINC150 that is no domain
_TEST_SHARE = 4  # every so many-th test row of BANKING77 is scored: it has 77 labels, and a call takes that much longer
_FIND_INTENT = "Find the intent of what a user says."


class OneLabel(fp.Program):
    """One node that gives a text a label.

    Args:
        signature: Its signature.
    """

    def __init__(self, signature: Any) -> None:
        super().__init__()
        self.classify = fp.modules.Predict(signature)
        self.output = next(iter(signature.output_fields))

    def forward(self, text: str) -> Any:
        """Returns the label."""
        return getattr(self.classify(text=text), self.output)


def data_bench(
    name: str, instructions: str, output: str, rows: Mapping[str, Splits], descriptions: Mapping[str, str]
) -> Bench:
    """Returns a benchmark of label-typed tasks with the default families and the ready-made patterns.

    Args:
        name: Its name.
        instructions: What the node is asked to do.
        output: The output field and the rows' column.
        rows: Task → its rows, with the columns ``text`` and ``output``.
        descriptions: Task → its description.
    """
    signature = fp.Signature(f"text -> {output}", instructions)
    tasks = []
    for task, splits in rows.items():
        labels = _labels(splits, output)
        tasks.append(make_task(task, descriptions[task], splits, output, labels={f"classify.{output}": labels}))
    families = [
        fp.builders.LabelGlossary(words=8),
        fp.builders.LabelGlossary(words=16),
        fp.builders.BalancedDemos(per_label=1),
        fp.builders.BalancedDemos(per_label=3),
        fp.builders.ClusteredDemos(count=8),
    ]
    return Bench(
        name=name,
        program=OneLabel(signature),
        output=output,
        tasks=tasks,
        rows=rows,
        pool=fp.PromptPool.patterns() | fp.PromptPool(families),
        answer=OfflineReader().read,
        identity={"model": "offline reader"},
    )


def clinc150(data: Path) -> Bench:
    """The seven domains of CLINC150."""
    return _intents("clinc150", _clinc150_rows(data))


def hwu64(data: Path) -> Bench:
    """The domains of HWU64 with at least two intents: thirteen of its fifteen, without news and weather."""
    rows = _given(data / "hwu64", "text", "intent")
    return _intents("hwu64", {name: mine for name, mine in rows.items() if len(_labels(mine, "intent")) > 1})


def banking77(data: Path) -> Bench:
    """The seven domains of CLINC150, and BANKING77 with its 77 intents left out; a quarter of its test rows."""
    mine = _splits(data / "banking77", "text", "intent")
    rows = {**_clinc150_rows(data), "banking77": replace(mine, test=mine.test[::_TEST_SHARE])}
    bench = _intents("banking77", rows)
    return replace(bench, tasks=bench.tasks[:-1], left_out=bench.tasks[-1:])


def product_reviews(data: Path) -> Bench:
    """The sentiment of sentences in reviews of four kinds of products."""
    rows = _given(data / "product_reviews", "text", "sentiment")
    about = {name: f"Sentences of customers' reviews of a {name.replace('_', ' ')}." for name in rows}
    return data_bench(
        "product_reviews", "Say which opinion on the product a sentence of a review has.", "sentiment", rows, about
    )


def bbh(data: Path) -> Bench:
    """The tasks of BIG-Bench Hard with few answers; train and val are cut anew, one third to build from."""
    cards = {card["task"]: card["description"] for card in _lines(data / "bbh" / "tasks.jsonl")}
    rows = {}
    for folder in _folders(data / "bbh"):
        train, val, test = (
            [{"text": row["input"], "answer": row["target"]} for row in _lines(folder / f"{split}.jsonl")]
            for split in _SPLITS
        )
        labels = {row["answer"] for row in train}
        if len(labels) <= _MOST_LABELS and labels >= {row["answer"] for row in val}:
            rows[folder.name] = Splits(*_cut([*train, *val], "answer"), test)
    return data_bench("bbh", "Answer the question.", "answer", rows, cards)


def legalbench(data: Path) -> Bench:
    """The sources of LegalBench's few-shot pool that have enough rows, each a task; val is cut out of train."""
    folder = data / "legalbench"
    cards = {card["task"]: card for card in _lines(folder / "tasks.jsonl")}
    found: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: {"train": [], "test": []})
    for split in ("train", "test"):
        for row in _lines(folder / "fewshot_pool" / f"{split}.jsonl"):
            card = cards[row["task"]]
            text = "\n".join([card["question"], *row["inputs"].values()])
            found[card["source"]][split].append({"text": text, "answer": row["answer"]})
    rows = {
        source.replace(" ", "_").replace("&", "and"): Splits(*_cut(mine["train"], "answer"), mine["test"])
        for source, mine in sorted(found.items())
        if len(mine["train"]) >= _LEAST_ROWS
    }
    about = {name: f"Questions on contracts and clauses of {name.replace('_', ' ')}." for name in rows}
    return data_bench("legalbench", "Answer the legal question on the clause with yes or no.", "answer", rows, about)


def _clinc150_rows(data: Path) -> dict[str, Splits]:
    rows = _given(data / "clinc150", "text", "intent")
    rows.pop(_OUT_OF_SCOPE, None)
    return rows


def _intents(name: str, rows: Mapping[str, Splits]) -> Bench:
    about = {domain: f"What users say about {domain.replace('_', ' ')}." for domain in rows}
    return data_bench(name, _FIND_INTENT, "intent", rows, about)


_SPLITS = ("train", "val", "test")
_DATA: Mapping[str, Callable[[Path], Bench]] = {
    "clinc150": clinc150,
    "hwu64": hwu64,
    "banking77": banking77,
    "product_reviews": product_reviews,
    "bbh": bbh,
    "legalbench": legalbench,
}


def _with_data(name: str) -> Callable[[Path | None, int], Bench]:
    def make(data: Path | None, seed: int) -> Bench:
        if data is None or not (data / name).is_dir():
            raise SystemExit(f"{name} needs --data, a folder that holds {name}/; found {data}")
        return _DATA[name](data)

    return make


BENCHES.update({name: _with_data(name) for name in _DATA})


def _folders(folder: Path) -> list[Path]:
    return sorted(file.parent for file in folder.glob("*/train.jsonl"))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]


def _given(folder: Path, *columns: str) -> dict[str, Splits]:
    """Task → rows that are split already, with some of their columns."""
    return {each.name: _splits(each, *columns) for each in _folders(folder)}


def _splits(folder: Path, *columns: str) -> Splits:
    return Splits(
        *([{name: row[name] for name in columns} for row in _lines(folder / f"{split}.jsonl")] for split in _SPLITS)
    )


def _labels(splits: Splits, output: str) -> list[str]:
    """The labels that may be given: those of train and val."""
    return sorted({row[output] for row in (*splits.train, *splits.val)})


def _cut(rows: Sequence[Mapping[str, Any]], output: str) -> tuple[Rows, Rows]:
    """Cuts rows into those to build from and those to search on, each label in proportion."""
    by_label: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_label[row[output]].append(row)
    built, searched = [], []
    for mine in by_label.values():
        count = max(1, round(len(mine) * _BUILT_FROM))
        built += mine[:count]
        searched += mine[count:]
    return built, searched
