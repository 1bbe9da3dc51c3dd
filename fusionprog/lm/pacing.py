"""Pacing: requests and tokens per minute of one model, in this process."""

from __future__ import annotations

import time

from fusionprog.lm.limits import Limits


class Pacer:
    """Says when the next request may be sent.

    Requests and tokens each have a time up to which they are spoken for; a request takes the later one and moves both
    on (the generic cell rate algorithm without bursts).

    Args:
        limits: The limits.

    References:
        ITU-T Recommendation I.371, "Traffic control and congestion control in B-ISDN", annex A.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._requests = self._tokens = self._paused = 0.0

    def reserve(self, tokens: int) -> float:
        """Takes the next place and returns the seconds until then.

        Args:
            tokens: How many tokens prompt and answer may come to.
        """
        now = time.monotonic()
        at = max(now, self._requests, self._tokens, self._paused)
        if self._limits.requests_per_minute:
            self._requests = at + self._limits.seconds_per_request
        if self._limits.tokens_per_minute:
            self._tokens = at + tokens * self._limits.seconds_per_token
        return at - now

    def correct(self, tokens: int) -> None:
        """Gives back tokens that were reserved and not used, or takes more if negative."""
        self._tokens -= tokens * self._limits.seconds_per_token

    def pause(self, seconds: float) -> None:
        """Lets nothing be sent for a while."""
        self._paused = max(self._paused, time.monotonic() + seconds)

    @property
    def paused(self) -> float:
        """Seconds for which nothing may be sent."""
        return max(0.0, self._paused - time.monotonic())
