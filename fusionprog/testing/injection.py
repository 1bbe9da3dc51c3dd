"""Faults without HTTP: the errors that a client makes of them."""

from __future__ import annotations

from fusionprog.errors import (
    LMIncompleteError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
    LMUnavailableError,
)
from fusionprog.testing.faults import Fault
from fusionprog.testing.scenario import Decision

_ERRORS: dict[Fault, type[LMUnavailableError]] = {
    Fault.RATE_LIMIT: LMRateLimitError,
    Fault.SERVER_ERROR: LMServerError,
    Fault.OVERLOADED: LMServerError,
    Fault.HANG: LMTimeoutError,
    Fault.CUT: LMTransportError,
    Fault.MALFORMED: LMTransportError,
    Fault.EMPTY_CHOICES: LMIncompleteError,
    Fault.UNFINISHED: LMIncompleteError,
}


def failure(decision: Decision, name: str) -> LMUnavailableError | None:
    """Returns the error that a model raises for a decision; ``None`` where it answers.

    Args:
        decision: What happens.
        name: The model's name.
    """
    if decision.fault not in _ERRORS:
        return None
    hint = None if decision.error is None else decision.error.retry_after
    problem = f"the model {name!r} gave no answer"
    return _ERRORS[decision.fault](problem, found=f"the fault {decision.fault.value!r} of a test", retry_after=hint)
