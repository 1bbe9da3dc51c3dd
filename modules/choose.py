"""``Choose``: one of several modules, the one that the search finds best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusionprog.errors import ProgramError
from fusionprog.program.choice import MOST_OPTIONS
from fusionprog.program.module import Ask, Module, register_module
from fusionprog.program.signature import SignatureType, input_types, output_types
from fusionprog.program.types import type_adapter, type_name

MODULE = "module"


@register_module("Choose")
class Choose(Module):
    """Offers several modules for one node: the first runs as the program is written, the search may choose another.

    ``fp.modules.Choose(fp.modules.Predict(Reply), fp.modules.ChainOfThought(Reply))`` lets every node find out
    whether reasoning is worth its tokens. An argument of a module is chosen by offering the module with each of its
    values. Fields that only some of the modules make, such as ``reasoning``, cannot be read.

    Args:
        modules: At least two, with the same fields; those that ask a model with the same instructions, too.

    Raises:
        ProgramError: if there are fewer, they do not fit together, or one is itself something to choose from.
    """

    def __init__(self, *modules: Module) -> None:
        if not 2 <= len(modules) <= MOST_OPTIONS or not all(isinstance(each, Module) for each in modules):
            raise ProgramError(
                "Choose cannot choose",
                expected=f"2 to {MOST_OPTIONS} modules",
                found=", ".join(type(each).__name__ for each in modules) or "nothing",
                fix="Write e.g. Choose(Predict(Reply), ChainOfThought(Reply)); for values there is fusionprog.Choice",
            )
        if nested := [type(each).__name__ for each in modules if each.options()]:
            raise ProgramError(
                f"Choose is given a {nested[0]}, in which there is something to choose already",
                fix="Give all modules to one Choose; an Optional goes around it",
            )
        self._modules = dict(zip(_names(modules), modules, strict=True))
        super().__init__(modules[0].signature)
        for name, module in self._modules.items():
            _check_alike(self.signature, modules[0], name, module)
        made = {name: module.outputs(self.signature) for name, module in self._modules.items()}
        self._withheld = {  # a task changes the types of fields, never their names
            field: f"Read another field, as only the module {name} makes it, and the search may choose another one"
            for name, fields in made.items()
            for field in fields
            if not all(field in others for others in made.values())
        }

    def parts(self) -> tuple[Module, ...]:
        """Returns the modules."""
        return tuple(self._modules.values())

    def options(self) -> Mapping[str, tuple[str, ...]]:
        """Returns the modules' names, as the choice ``module``."""
        return {MODULE: tuple(self._modules)}

    def chosen(self, picks: Mapping[str, str]) -> Module:
        """Returns one of the modules."""
        return self._modules.get(picks.get(MODULE, ""), self.parts()[0])

    def prompted(self, signature: SignatureType) -> SignatureType | None:
        """Returns what the first module asks that asks a model."""
        asked = (module.prompted(signature) for module in self.parts())
        return next((each for each in asked if each is not None), None)

    def outputs(self, signature: SignatureType) -> Mapping[str, Any]:
        """Returns the fields that all of the modules make."""
        made = self.parts()[0].outputs(signature)
        return {name: kind for name, kind in made.items() if name not in self._withheld}

    def withheld(self, signature: SignatureType) -> Mapping[str, str]:
        """Returns the fields that only some of the modules make."""
        return self._withheld

    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Runs the first module."""
        return await self.parts()[0].run(inputs, ask)


def _names(modules: tuple[Module, ...]) -> list[str]:
    """What modules are called: by their kind, and where that is not enough by their arguments."""
    kinds = [str(getattr(each, "kind", type(each).__name__)) for each in modules]
    names = [
        kind if kinds.count(kind) == 1 else f"{kind}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"
        for kind, shown in zip(kinds, (each.arguments() for each in modules), strict=True)
    ]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ProgramError(f"Choose is given the same module twice: {twice[0]}", fix="Leave one of them out")
    return names


def _check_alike(signature: SignatureType, first: Module, name: str, module: Module) -> None:
    for role, types in (("inputs", input_types), ("outputs", output_types)):
        wanted, got = types(signature), types(module.signature)
        if list(wanted) != list(got) or not all(_same(wanted[field], got[field]) for field in wanted):
            raise ProgramError(
                f"Choose is given modules with other {role}: {name} does not fit {type(first).__name__}",
                expected=_shown(wanted),
                found=_shown(got),
                fix="Give all modules one signature",
            )
    texts = [each.prompted(each.signature) for each in (first, module)]
    if all(text is not None for text in texts) and signature.instructions != module.signature.instructions:
        raise ProgramError(
            f"Choose is given modules with other instructions: {name} does not fit {type(first).__name__}",
            expected=repr(signature.instructions)[:80],
            found=repr(module.signature.instructions)[:80],
            fix="Give all modules one signature; put texts to choose from into the pool",
        )


def _same(one: Any, other: Any) -> bool:
    """Whether types are one, or two classes of one form, as those are that an artifact is read into."""
    return one == other or type_adapter(one).json_schema() == type_adapter(other).json_schema()


def _shown(types: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {type_name(kind)}" for name, kind in types.items())
