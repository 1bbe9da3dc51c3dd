"""The gate before the first call: a dry run ends there, and a paid model needs a cap or consent."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import fusionprog as fp
from fusionprog.cli.gate import Gate

ASKED = "litellm/openai/text-embedding-3-small"


def test_an_embedding_model_is_not_asked_in_a_dry_run_nor_without_consent(desk: Path) -> None:
    program = fp.load(desk / "desk.json")
    with pytest.raises(click.UsageError, match=r"openai/text-embedding-3-small .* Set a cap"):
        Gate(dry_run=True, asks=False).check_embedder(program, ASKED)
    with pytest.raises(click.UsageError, match="This model is paid and there is no cap"):
        Gate(dry_run=False, asks=True).check_embedder(program, ASKED)
    Gate(dry_run=False, asks=False).check_embedder(program, ASKED)  # under a cap
    for dry_run in (True, False):  # what the program has itself costs no call
        Gate(dry_run=dry_run, asks=True).check_embedder(program, None)
