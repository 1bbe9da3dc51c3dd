"""``ChainOfThought``: ask for reasoning before the signature's outputs."""

from __future__ import annotations

from fusionprog.errors import ProgramError
from fusionprog.modules.predict import Predict
from fusionprog.program.module import register_module
from fusionprog.program.signature import OutputField, SignatureType

REASONING = "reasoning"


@register_module("ChainOfThought")
class ChainOfThought(Predict):
    """Asks the model once for its reasoning and then the signature's outputs, as ``dspy.ChainOfThought`` does.

    The node has the further output field ``reasoning``.

    Args:
        signature: A signature class, or DSPy's short form (``"question -> answer"``).

    Raises:
        ProgramError: if it is neither, has no outputs, or has an input field ``reasoning``.
    """

    def __init__(self, signature: SignatureType | str) -> None:
        super().__init__(signature)
        if REASONING in self.signature.input_fields:
            raise ProgramError(
                f"ChainOfThought: the signature {self.signature.__name__} has an input field {REASONING!r}",
                fix="Rename it; ChainOfThought adds an output field of that name",
            )

    def prompted(self, signature: SignatureType) -> SignatureType:
        """Returns the signature with ``reasoning`` as its first output."""
        asked: SignatureType = signature.prepend(REASONING, OutputField(desc="${reasoning}"), type_=str)
        return asked
