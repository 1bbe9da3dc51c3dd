"""The catalogue of optimizers: what can compile a program."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if __name__ != "fusionprog.optimizers":
    raise ImportError(
        "import fusionprog.optimizers; a bare 'import optimizers' would make a second copy of every class"
    )

if TYPE_CHECKING:
    from fusionprog.optimizers.fusion import Fusion as Fusion
    from fusionprog.optimizers.fusion_compiler import FusionCompiler as FusionCompiler

__all__ = ["Fusion", "FusionCompiler"]

_HOMES = {"Fusion": "fusion", "FusionCompiler": "fusion_compiler"}  # the second loads DSPy, which few here need


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fusionprog.optimizers' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fusionprog.optimizers.{_HOMES[name]}"), name)
