"""What a run really paid."""

from __future__ import annotations

from dataclasses import dataclass, field

from fusionprog.lm.client import Paid
from fusionprog.search.events import Event, Finished, StepDone


@dataclass
class Receipt:
    """A callback that remembers what was really paid.

    Attributes:
        paid: What was paid so far.
    """

    paid: Paid = field(default_factory=Paid)

    def __call__(self, event: Event) -> None:
        """Notes what an event says of it."""
        if isinstance(event, Finished):
            self.paid = event.paid
        elif isinstance(event, StepDone):
            self.paid = event.spent.paid
