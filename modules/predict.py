"""``Predict``: ask once, for the signature's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusionprog._internal.canonical import canonical_json, jsonable
from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import ProgramError
from fusionprog.program.module import Ask, Module, register_module
from fusionprog.program.signature import SignatureType


@register_module("Predict")
class Predict(Module):
    """Asks the model once for the signature's outputs.

    Args:
        signature: A signature class, or DSPy's short form (``"question -> answer"``).
        demos: Demonstrations that are part of the program as written: every prompt shows them first, in every task
            that has their labels.

    Raises:
        ProgramError: if the signature is neither, or has no outputs, or a demonstration does not fit it.
    """

    def __init__(self, signature: SignatureType | str, *, demos: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(signature)
        asked = self.prompted(self.signature)
        self.demos = tuple(
            _demo(demo, asked, f"{type(self).__name__}, demonstration {n}") for n, demo in enumerate(demos)
        )

    def arguments(self) -> dict[str, Any]:
        """Returns the demonstrations, if there are any."""
        return {"demos": [dict(demo) for demo in self.demos]} if self.demos else {}

    def prompted(self, signature: SignatureType) -> SignatureType:
        """Returns the signature as it is."""
        return signature

    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Returns the model's outputs."""
        return await ask(inputs)


def _demo(demo: Mapping[str, Any], signature: SignatureType, where: str) -> dict[str, Any]:
    """Returns a demonstration as plain data, as the artifact keeps it."""
    for name in demo:
        if name not in signature.fields:
            raise ProgramError(f"{where}: there is no field {name!r}", fix=did_you_mean(str(name), signature.fields))
    if not any(name in demo for name in signature.input_fields) or not any(
        name in demo for name in signature.output_fields
    ):
        raise ProgramError(f"{where} needs an input and an output field", found=repr(dict(demo))[:80])
    try:
        canonical_json(dict(demo))
    except (TypeError, ValueError, RecursionError) as error:
        raise ProgramError(f"{where} cannot be kept in JSON", found=str(error)[:80], fix="Use plain data") from error
    return {name: jsonable(value) for name, value in demo.items()}
