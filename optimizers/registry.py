"""What an optimizer is, and the optimizers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError
from fusionprog.lm.client import LMClient
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.search.events import Callback
from fusionprog.search.kept_study import KeptStudy
from fusionprog.search.objective import Objective
from fusionprog.search.plan import Parts
from fusionprog.search.preflight import Job


@runtime_checkable
class Optimizer(Protocol):
    """Compiles a program that has passed preflight.

    Attributes:
        objective: What is to be reached over the tasks.
        parts: What it does beside trials, which a plan must have calls for.
    """

    objective: Objective
    parts: Parts

    def arguments(self) -> dict[str, Any]:
        """Returns what rebuilds the optimizer, as JSON data."""
        ...

    async def compile(
        self,
        job: Job,
        client: LMClient,
        callbacks: Sequence[Callback],
        prior: Sequence[CompiledProgram],
        kept: KeptStudy,
    ) -> CompiledProgram:
        """Returns the best program that was found; the one as written if nothing beat it.

        Args:
            job: What passed preflight.
            client: Makes and keeps the model calls.
            callbacks: Are told what happens.
            prior: Programs whose knowledge the search starts from.
            kept: Keeps the trials.
        """
        ...


USUAL_SAMPLER, USUAL_OBJECTIVE = "effects", "mean"

optimizer_registry: Registry[Callable[..., Optimizer]] = Registry("optimizer", FusionProgError)


def register_optimizer(name: str) -> Any:
    """Returns a class decorator that enters an optimizer into the catalogue under ``name``."""
    return optimizer_registry.register(name)


def optimizer_of(given: str | Optimizer, *, sampler: str, objective: str | Objective) -> Optimizer:
    """Returns an optimizer from what a user passes; sampler and objective are for one that is named.

    Raises:
        FusionProgError: if there is none of that name, or if it is no optimizer, or one that says these itself.
    """
    if isinstance(given, str):
        made: Optimizer = optimizer_registry.get(given)(sampler=sampler, objective=objective)
        return made
    if not isinstance(given, Optimizer):
        raise FusionProgError(
            "optimizer is neither a name nor an optimizer",
            found=repr(given)[:80],
            fix='Pass "fusion" or fusionprog.optimizers.Fusion(...)',
        )
    for name, value, usual in (("sampler", sampler, USUAL_SAMPLER), ("objective", objective, USUAL_OBJECTIVE)):
        if value != usual:
            raise FusionProgError(
                f"an optimizer that is passed has a {name} of its own",
                found=f"{name}={value!r}"[:80],
                fix=f"Pass {name}= to the optimizer: fusionprog.optimizers.Fusion({name}=...)",
            )
    return given
