"""Scores and trials as the rows of their tables, by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusionprog.store.unicode import as_unicode


def score_rows(study: str, rows: Sequence[Mapping[str, Any]]) -> dict[Any, tuple[Any, ...]]:
    """Returns rows of scores of a study (columns ``candidate, task, example, score, status, error``)."""
    return {
        (study, row["candidate"], row["task"], row["example"]): (
            study,
            row["candidate"],
            row["task"],
            row["example"],
            float(row["score"]),
            row["status"],
            as_unicode(row["error"]),
        )
        for row in rows
    }


def trial_rows(study: str, rows: Sequence[Mapping[str, Any]]) -> dict[Any, tuple[Any, ...]]:
    """Returns rows of trials of a study (columns ``fold, number, params`` as JSON text, ``value, state``)."""
    return {
        (study, row["fold"], row["number"]): (
            study,
            row["fold"],
            row["number"],
            as_unicode(row["params"]),
            None if row["value"] is None else float(row["value"]),
            row["state"],
        )
        for row in rows
    }
