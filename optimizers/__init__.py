"""The catalogue of optimizers: what can compile a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if __name__ != "fusionprog.optimizers":
    raise ImportError(
        "import fusionprog.optimizers; a bare 'import optimizers' would make a second copy of every class"
    )

if TYPE_CHECKING:
    from fusionprog.optimizers.fusion_compiler import FusionCompiler as FusionCompiler

__all__ = ["FusionCompiler"]


def __getattr__(name: str) -> Any:
    if name != "FusionCompiler":
        raise AttributeError(f"module 'fusionprog.optimizers' has no attribute {name!r}")
    from fusionprog.optimizers.fusion_compiler import FusionCompiler  # loads DSPy, which not everybody here needs

    return FusionCompiler
