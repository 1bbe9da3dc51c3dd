"""``ChainOfThought``: ask for reasoning before the signature's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusionprog.errors import ProgramError
from fusionprog.modules.predict import Predict
from fusionprog.program.module import register_module
from fusionprog.program.signature import OutputField, SignatureType, as_signature

REASONING = "reasoning"


@register_module("ChainOfThought")
class ChainOfThought(Predict):
    """Asks the model once for its reasoning and then the signature's outputs, as ``dspy.ChainOfThought`` does.

    The node has the further output field ``reasoning``.

    Args:
        signature: A signature class, or DSPy's short form (``"question -> answer"``).
        demos: Demonstrations that are part of the program as written; see ``Predict``.

    Raises:
        ProgramError: if the signature is neither, has no outputs, or has an input field ``reasoning``, or a
            demonstration does not fit it.
    """

    def __init__(self, signature: SignatureType | str, *, demos: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(_without_reasoning(as_signature(signature, "ChainOfThought")), demos=demos)

    def prompted(self, signature: SignatureType) -> SignatureType:
        """Returns the signature with ``reasoning`` as its first output."""
        asked: SignatureType = signature.prepend(REASONING, OutputField(desc="${reasoning}"), type_=str)
        return asked


def _without_reasoning(signature: SignatureType) -> SignatureType:
    if REASONING in signature.input_fields:
        raise ProgramError(
            f"ChainOfThought: the signature {signature.__name__} has an input field {REASONING!r}",
            fix="Rename it; ChainOfThought adds an output field of that name",
        )
    return signature
