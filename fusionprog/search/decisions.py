"""The decisions of a search beside what it tries, each by the name of an entry in its registry."""

from __future__ import annotations

from dataclasses import dataclass, fields

from fusionprog.errors import FusionProgError
from fusionprog.search.narrowing import Narrowing, narrowing_registry
from fusionprog.search.objective import Objective
from fusionprog.search.plan import Parts
from fusionprog.search.racing import Racing, racing_registry
from fusionprog.search.screening import Screening, screening_registry
from fusionprog.search.stopping import Stopping, stopping_registry


@dataclass(frozen=True)
class Decisions:
    """How a search spends its calls, beside what its strategy proposes.

    Attributes:
        screening: Which items go on in screening, and on how many rows each is tried.
        racing: Which trials are stopped before all of their rows are measured.
        narrowing: Which candidates become finalists.
        stopping: Whether the search ends before all of its trials are done.

    Raises:
        FusionProgError: if a name is unknown.
    """

    screening: str = "sequential_halving"
    racing: str = "paired_test"
    narrowing: str = "more_rows"
    stopping: str = "regret"

    def __post_init__(self) -> None:
        for make in (self.make_screening, self.make_racing, self.make_narrowing, self.make_stopping):
            make()

    def make_screening(self) -> Screening:
        """Returns the screening of that name."""
        return screening_registry.get(self.screening)()

    def make_racing(self) -> Racing:
        """Returns the racing of that name."""
        return racing_registry.get(self.racing)()

    def make_narrowing(self) -> Narrowing:
        """Returns the narrowing of that name."""
        return narrowing_registry.get(self.narrowing)()

    def make_stopping(self) -> Stopping:
        """Returns the stopping of that name."""
        return stopping_registry.get(self.stopping)()

    @property
    def parts(self) -> Parts:
        """What a plan must have calls for."""
        return Parts(self.make_screening().spends, self.make_narrowing().measures)

    def check(self, objective: Objective) -> None:
        """Checks that they can reach an objective.

        Raises:
            FusionProgError: if the objective is about what only narrowing measures, and there is no narrowing.
        """
        if objective.is_measured and not self.parts.narrowing:
            raise FusionProgError(
                "floors, caps and trade-offs must be measured to choose by them",
                found=f"narrowing={self.narrowing!r}",
                fix=f"Pass narrowing={Decisions.narrowing!r}",
            )

    def as_json(self) -> dict[str, str]:
        """Returns those that are not the usual ones."""
        return {each.name: name for each in fields(self) if (name := getattr(self, each.name)) != each.default}
