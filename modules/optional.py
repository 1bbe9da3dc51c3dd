"""``Optional``: a node that the search may switch off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusionprog.errors import ProgramError
from fusionprog.program.module import Ask, Module, register_module
from fusionprog.program.signature import SignatureType
from fusionprog.program.types import fits, type_name

NODE, ON, OFF = "node", "on", "off"


class PassThrough(Module):
    """What runs in the place of a module that is off: it asks nothing, and costs nothing.

    Args:
        signature: The module's signature.
        passthrough: Output field → the input field whose value it takes.
    """

    def __init__(self, signature: SignatureType, passthrough: Mapping[str, str]) -> None:
        super().__init__(signature)
        self._passthrough = passthrough

    def prompted(self, signature: SignatureType) -> None:
        """Asks no model."""
        return None

    def reads(self, signature: SignatureType) -> frozenset[str]:
        """Returns the inputs that are passed on."""
        return frozenset(self._passthrough.values())

    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Returns inputs as outputs."""
        return {output: inputs[source] for output, source in self._passthrough.items()}


@register_module("Optional")
class Optional(Module):
    """A module that the search may switch off; each output then takes an input's value.

    ``fp.modules.Optional(fp.modules.Predict(Repair), passthrough={"invoice": "draft"})`` runs as the program is
    written, and is off where the program does better without. What only its other inputs need does not run either.

    Args:
        module: The module; it may be a ``Choose``.
        passthrough: Output field → the input field whose value it takes where the node is off. Other outputs cannot
            be read.

    Raises:
        ProgramError: if ``module`` is none or optional already, or ``passthrough`` names other fields than it has.
    """

    def __init__(self, module: Module, *, passthrough: Mapping[str, str]) -> None:
        if not isinstance(module, Module) or NODE in module.options():
            raise ProgramError(
                "Optional has no module that could be switched off",
                expected="one module, e.g. Optional(Predict(Repair), passthrough={'invoice': 'draft'})",
                found=type(module).__name__,
            )
        super().__init__(module.signature)
        made, inputs = module.outputs(self.signature), self.signature.input_fields
        if not isinstance(passthrough, Mapping) or not passthrough:
            raise ProgramError(
                "Optional does not know what its outputs are where it is off",
                expected=f"passthrough={{output: input}} with outputs {list(made)} and inputs {list(inputs)}",
                found=repr(passthrough)[:80],
            )
        for output, source in passthrough.items():
            if output not in made or source not in inputs:
                raise ProgramError(
                    f"Optional cannot pass {source!r} on as {output!r}",
                    expected=f"an output of {list(made)} → an input of {list(inputs)}",
                )
        self._module = module
        self._passthrough = dict(passthrough)
        self._off = PassThrough(self.signature, self._passthrough)

    def arguments(self) -> dict[str, Any]:
        """Returns what is passed through."""
        return {"passthrough": dict(self._passthrough)}

    def parts(self) -> tuple[Module, ...]:
        """Returns the module."""
        return (self._module,)

    def options(self) -> Mapping[str, tuple[str, ...]]:
        """Returns on and off, as the choice ``node``, and what there is to choose in the module."""
        return {NODE: (ON, OFF), **self._module.options()}

    def chosen(self, picks: Mapping[str, str]) -> Module:
        """Returns the module, or what passes its inputs on."""
        return self._off if picks.get(NODE) == OFF else self._module.chosen(picks)

    def prompted(self, signature: SignatureType) -> SignatureType | None:
        """Returns what the module asks."""
        return self._module.prompted(signature)

    def outputs(self, signature: SignatureType) -> Mapping[str, Any]:
        """Returns the outputs that are there on and off."""
        made = self._module.outputs(signature)
        return {name: kind for name, kind in made.items() if name in self._passthrough}

    def withheld(self, signature: SignatureType) -> Mapping[str, str]:
        """Returns the outputs that are not there where it is off, or not under every option of the module."""
        made = {
            name: f"Name in passthrough= the input whose value {name!r} takes where the node is off"
            for name in self._module.outputs(signature)
            if name not in self._passthrough
        }
        return {**made, **self._module.withheld(signature)}

    def check(self, signature: SignatureType, fed: Mapping[str, Sequence[Any]], where: str) -> None:
        """Checks that what is passed through is there and has the outputs' types."""
        made = self.outputs(signature)
        for output, source in self._passthrough.items():
            if source not in fed:
                raise ProgramError(
                    f"{where} passes {source!r} on as {output!r} where it is off, and nothing feeds {source!r}",
                    fix=f"Pass {source}= where the node is called",
                )
            for found in fed[source] if output in made else ():
                if not fits(found, made[output]):
                    raise ProgramError(
                        f"{where} cannot pass {source!r} on as {output!r} where it is off",
                        expected=type_name(made[output]),
                        found=type_name(found),
                        fix="Pass on an input that is fed with that type",
                    )

    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Runs the module as written."""
        return await self._module.run(inputs, ask)
