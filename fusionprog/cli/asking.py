"""Options that say how models are asked: how many at once, how often, for how long."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fusionprog.lm.limits import LimitsSpec

_OPTIONS = (
    click.option(
        "-j", "--concurrency", type=click.IntRange(min=1), default=16, show_default=True, help="Calls in flight."
    ),
    click.option("--rpm", type=click.FloatRange(min=0, min_open=True), help="Requests per minute at most."),
    click.option("--tpm", type=click.FloatRange(min=0, min_open=True), help="Tokens per minute at most."),
    click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Of one attempt."),
    click.option(
        "--retries", type=click.IntRange(min=0), help="Attempts after the first, where a model cannot answer now."
    ),
    click.option("--fresh", is_flag=True, help="Ask the model again instead of using kept answers."),
)


@dataclass(frozen=True)
class Asking:
    """What the command line says of how models are asked.

    Attributes:
        concurrency: Calls in flight at most.
        rpm: Requests per minute at most; here and below ``None`` where it says nothing.
        tpm: Tokens per minute at most.
        timeout: Seconds of one attempt.
        retries: Attempts after the first.
        fresh: Whether kept answers are asked for again.
    """

    concurrency: int
    rpm: float | None
    tpm: float | None
    timeout: float | None
    retries: int | None
    fresh: bool

    def how(self, own: LimitsSpec) -> dict[str, Any]:
        """Returns ``concurrency``, ``limits`` and ``fresh`` as ``compile`` takes them.

        Args:
            own: The file's limits; what the command line says takes their place.
        """
        return {"concurrency": self.concurrency, "limits": self._limits(own), "fresh": self.fresh}

    def _limits(self, own: LimitsSpec) -> LimitsSpec:
        from fusionprog.lm.limits import Limits

        given = {
            "requests_per_minute": self.rpm,
            "tokens_per_minute": self.tpm,
            "timeout": self.timeout,
            "retries": self.retries,
        }
        said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if isinstance(own, Limits) or own is None:
            return replace(own or Limits(), **said)
        return {name: replace(each, **said) for name, each in {"*": Limits(), **own}.items()}


def asking_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options; it gets them as ``asking``."""

    @functools.wraps(command)
    def collected(
        *,
        concurrency: int,
        rpm: float | None,
        tpm: float | None,
        timeout: float | None,
        retries: int | None,
        fresh: bool,
        **rest: Any,
    ) -> None:
        command(asking=Asking(concurrency, rpm, tpm, timeout, retries, fresh), **rest)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected
