"""What an optimizer is, and the optimizers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError
from fusionprog.lm.client import LMClient
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.search.events import Callback
from fusionprog.search.kept_study import KeptStudy
from fusionprog.search.preflight import Job


class Optimizer(Protocol):
    """Compiles a program that has passed preflight."""

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


optimizer_registry: Registry[Callable[..., Optimizer]] = Registry("optimizer", FusionProgError)


def register_optimizer(name: str) -> Any:
    """Returns a class decorator that enters an optimizer into the catalogue under ``name``."""
    return optimizer_registry.register(name)
