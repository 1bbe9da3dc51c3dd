"""``Predict``: ask once, for the signature's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusionprog.program.module import Ask, Module, register_module


@register_module("Predict")
class Predict(Module):
    """Asks the model once for the signature's outputs.

    Args:
        signature: A signature class, or DSPy's short form (``"question -> answer"``).

    Raises:
        ProgramError: if it is neither, or has no outputs.
    """

    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Returns the model's outputs."""
        return await ask(inputs)
