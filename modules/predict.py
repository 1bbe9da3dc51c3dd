"""``Predict``: ask once, for the signature's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusionprog.program.module import Ask, Module, register_module
from fusionprog.program.signature import Signature, SignatureType


@register_module("Predict")
class Predict(Module):
    """Asks the model once for the signature's outputs.

    Args:
        signature: A signature class, or DSPy's short form (``"question -> answer"``).
    """

    def __init__(self, signature: SignatureType | str) -> None:
        super().__init__(Signature(signature) if isinstance(signature, str) else signature)

    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Returns the model's outputs."""
        return await ask(inputs)
