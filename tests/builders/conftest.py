"""What the builders' tests share: signatures, rows, and contexts made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest

import fusionprog as fp
from fusionprog.prompts.items import BuildContext, Demo


class Triage(fp.Signature):
    """Name the team."""

    message: str = fp.InputField()
    team: Literal["delivery", "returns", "billing"] = fp.OutputField()


@pytest.fixture
def desk() -> Any:
    """A signature with one closed output."""
    return Triage


@pytest.fixture
def rows() -> list[dict[str, str]]:
    """Nine rows: delivery talks of parcels, returns of refunds, billing of invoices; ``please`` is everywhere."""
    words = {"delivery": "parcel courier", "returns": "refund exchange", "billing": "invoice voucher"}
    return [
        {"message": f"please look at my {word} {number}", "team": team}
        for number in range(3)
        for team, pair in words.items()
        for word in [pair.split()[number % 2]]
    ]


MakeContext = Callable[..., BuildContext]


@pytest.fixture
def context(desk: Any) -> MakeContext:
    """Makes a context of rows; of the desk's signature unless another is given."""

    def make(
        rows: Sequence[Demo], *, signature: Any = None, traces: Sequence[Demo] = (), seed: int = 0
    ) -> BuildContext:
        return BuildContext("triage", "shop", signature or desk, tuple(rows), tuple(traces), seed)

    return make
