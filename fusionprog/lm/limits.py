"""How models may be asked: how often, for how long, and how many times."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TypeAlias

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import LMConfigurationError, LMUnavailableError

_LONGEST_BACKOFF = 60.0


@dataclass(frozen=True)
class Limits:
    """How a model may be asked. None of it changes what is found, only when it is.

    Attributes:
        requests_per_minute: Requests at most, spread evenly; over all processes that share a store on a server.
        tokens_per_minute: Tokens of prompts and answers at most, likewise.
        timeout: Seconds that one attempt may take.
        retries: Attempts after the first one, where the model cannot answer now.
        backoff: Seconds; attempt n waits a random time of up to ``backoff * 2**n``, and at most a minute.
        longest_wait: Seconds; a provider that asks to wait longer than this ends the run.

    References:
        Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 (full jitter).
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 120.0
    retries: int = 6
    backoff: float = 0.5
    longest_wait: float = 600.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None and each.name.endswith("per_minute"):
                continue
            least = 0 if each.name in ("retries", "backoff") else math.ulp(0.0)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and least <= value < math.inf) or (each.name == "retries" and value != int(value)):
                wanted = "a whole number of 0 or more" if each.name == "retries" else "a number above 0"
                raise LMConfigurationError(f"the limit {each.name} is no limit", expected=wanted, found=repr(value))

    @property
    def seconds_per_request(self) -> float:
        """Seconds between two requests at least."""
        return 60.0 / self.requests_per_minute if self.requests_per_minute else 0.0

    @property
    def seconds_per_token(self) -> float:
        """Seconds that a token takes up at least."""
        return 60.0 / self.tokens_per_minute if self.tokens_per_minute else 0.0

    def wait_after(self, attempt: int, error: LMUnavailableError) -> float | None:
        """Returns seconds to wait before the next attempt, or ``None`` if there is to be none.

        Args:
            attempt: The attempt that failed, from 0.
            error: How it failed; a wait that the provider asks for is honoured.
        """
        if attempt >= self.retries:
            return None
        jitter = random.uniform(0.0, min(_LONGEST_BACKOFF, self.backoff * 2.0**attempt))
        if error.retry_after is None:
            return jitter
        # Who were told the same time must not come back in the same moment.
        return error.retry_after + min(jitter, self.backoff) if error.retry_after <= self.longest_wait else None


LimitsSpec: TypeAlias = Limits | Mapping[str, Limits] | None


def limits_of(spec: LimitsSpec, models: Iterable[str]) -> dict[str, Limits]:
    """Returns model name → limits; models that are not named have none but the usual patience.

    Args:
        spec: Limits for every model, or a mapping model → limits; the key ``"*"`` stands for the rest.
        models: The names of the models that are asked.

    Raises:
        LMConfigurationError: if it names a model that is not asked.
    """
    names = list(models)
    if not isinstance(spec, Mapping):
        return dict.fromkeys(names, spec or Limits())
    for name in spec:
        if name not in names and name != "*":
            raise LMConfigurationError(f"limits names an unknown model {name!r}", fix=did_you_mean(str(name), names))
    return {name: spec.get(name, spec.get("*", Limits())) for name in names}
