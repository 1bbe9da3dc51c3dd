"""Options that say what may be spent, and the question before a paid model is asked without a cap."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fusionprog.lm.budget import Budget

_OPTIONS = (
    click.option("--max-calls", type=click.IntRange(min=1), help="Model calls at most."),
    click.option("--max-usd", type=click.FloatRange(min=0, min_open=True), help="Dollars at most."),
    click.option("--max-tokens", type=click.IntRange(min=1), help="Tokens at most."),
    click.option("--max-time", metavar="TIME", help="Time of the search at most, e.g. 90s, 20m, 2h."),
    click.option("--yes", is_flag=True, help="Do not ask before spending on a paid model without a cap."),
)


@dataclass(frozen=True)
class Spending:
    """What the command line says of spending.

    Attributes:
        calls: Model calls at most; here and below ``None`` where it says nothing.
        usd: Dollars at most.
        tokens: Tokens at most.
        time: Time at most, e.g. ``"20m"``.
        yes: Whether a paid model may be asked without a cap.
    """

    calls: int | None
    usd: float | None
    tokens: int | None
    time: str | None
    yes: bool

    def budget(self, own: Budget | None) -> Budget:
        """Returns the file's own budget, with what the command line says in its place."""
        from fusionprog.lm.budget import Budget

        own = own or Budget()
        return Budget(
            calls=self.calls or own.calls,
            usd=self.usd or own.usd,
            tokens=self.tokens or own.tokens,
            seconds=_seconds(self.time) if self.time else own.seconds,
        )


def spending_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options; it gets them as ``spending``."""

    @functools.wraps(command)
    def collected(
        *,
        max_calls: int | None,
        max_usd: float | None,
        max_tokens: int | None,
        max_time: str | None,
        yes: bool,
        **rest: Any,
    ) -> None:
        command(spending=Spending(max_calls, max_usd, max_tokens, max_time, yes), **rest)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected


def ask_first(lines: Sequence[str], caps: str = "--max-usd 2, --max-calls 4000") -> None:
    """Asks whether to go on, after saying what it will cost; where nobody can answer, the command ends.

    Args:
        lines: What it will cost.
        caps: The options that would set a cap.

    Raises:
        UsageError: if there is no terminal.
        Abort: if the answer is no.
    """
    if not sys.stdin.isatty():
        raise click.UsageError(f"This model is paid and there is no cap. Set one ({caps}), or pass --yes.")
    click.echo("\n".join(lines), err=True)
    click.confirm("This model is paid and there is no cap. Go on?", abort=True, err=True)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match or float(match[1]) <= 0:
        raise click.BadParameter(f"{text!r} is no time span; write 90s, 20m or 2h", param_hint="--max-time")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
