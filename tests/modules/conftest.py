"""What the tests of the modules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fusionprog.errors import FusionProgError


@pytest.fixture
def refused() -> Callable[..., FusionProgError]:
    """Calls something that must fail with one kind of error, whose text has all the parts given, and a way out."""

    def check(kind: type[FusionProgError], call: Callable[[], Any], *parts: str) -> FusionProgError:
        with pytest.raises(kind) as caught:
            call()
        assert type(caught.value) is kind
        assert [part for part in parts if part not in str(caught.value)] == [], str(caught.value)
        assert caught.value.fix or caught.value.expected
        return caught.value

    return check


@pytest.fixture
def no_ask() -> Any:
    """The model of a module that asks none."""

    async def ask(inputs: Mapping[str, Any], /, *, sample: int = 0, node: str | None = None) -> dict[str, Any]:
        raise AssertionError("the module asked a model")

    return ask
