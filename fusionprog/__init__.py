"""fusionprog compiles language-model programs.

Declare a program as a graph of typed modules and the tasks it must serve; ``compile`` searches how every node should
mix a shared pool of prompt fragments for every task, and the result is one JSON file that runs anywhere.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fusionprog import builders as builders
    from fusionprog import errors as errors
    from fusionprog import modules as modules
    from fusionprog import optimizers as optimizers
    from fusionprog.artifacts.file import load as load
    from fusionprog.artifacts.merge import merge as merge
    from fusionprog.artifacts.registry.registry import Registry as Registry
    from fusionprog.evaluation import metrics as metrics
    from fusionprog.evaluation.metrics import Metric as Metric
    from fusionprog.lm.budget import Budget as Budget
    from fusionprog.lm.limits import Limits as Limits
    from fusionprog.optimizers.compile import compile as compile
    from fusionprog.optimizers.transfer_matrix import transfer_matrix as transfer_matrix
    from fusionprog.program.choice import Choice as Choice
    from fusionprog.program.graph import ProgramGraph as ProgramGraph
    from fusionprog.program.guard import when as when
    from fusionprog.program.program import Program as Program
    from fusionprog.program.signature import InputField as InputField
    from fusionprog.program.signature import OutputField as OutputField
    from fusionprog.program.signature import Prediction as Prediction
    from fusionprog.program.signature import Signature as Signature
    from fusionprog.program.task import Task as Task
    from fusionprog.prompts.items import DemoSet as DemoSet
    from fusionprog.prompts.items import Fragment as Fragment
    from fusionprog.prompts.pool import PromptPool as PromptPool
    from fusionprog.runtime.compiled import CompiledProgram as CompiledProgram
    from fusionprog.runtime.from_dspy import from_dspy as from_dspy
    from fusionprog.search.objective import Objective as Objective

# Public name → where it lives ("module" itself, or "module:attribute"). Nothing is imported before it is asked for,
# so that importing the package and asking the command line for help load no other library.
_HOMES = {
    "Budget": "fusionprog.lm.budget:Budget",
    "Choice": "fusionprog.program.choice:Choice",
    "CompiledProgram": "fusionprog.runtime.compiled:CompiledProgram",
    "DemoSet": "fusionprog.prompts.items:DemoSet",
    "Fragment": "fusionprog.prompts.items:Fragment",
    "InputField": "fusionprog.program.signature:InputField",
    "Limits": "fusionprog.lm.limits:Limits",
    "Metric": "fusionprog.evaluation.metrics:Metric",
    "OutputField": "fusionprog.program.signature:OutputField",
    "Objective": "fusionprog.search.objective:Objective",
    "Prediction": "fusionprog.program.signature:Prediction",
    "Program": "fusionprog.program.program:Program",
    "ProgramGraph": "fusionprog.program.graph:ProgramGraph",
    "PromptPool": "fusionprog.prompts.pool:PromptPool",
    "Registry": "fusionprog.artifacts.registry.registry:Registry",
    "Signature": "fusionprog.program.signature:Signature",
    "Task": "fusionprog.program.task:Task",
    "builders": "fusionprog.builders",
    "compile": "fusionprog.optimizers.compile:compile",
    "errors": "fusionprog.errors",
    "from_dspy": "fusionprog.runtime.from_dspy:from_dspy",
    "load": "fusionprog.artifacts.file:load",
    "merge": "fusionprog.artifacts.merge:merge",
    "metrics": "fusionprog.evaluation.metrics",
    "modules": "fusionprog.modules",
    "optimizers": "fusionprog.optimizers",
    "transfer_matrix": "fusionprog.optimizers.transfer_matrix:transfer_matrix",
    "when": "fusionprog.program.guard:when",
}

__all__ = [
    "Budget",
    "Choice",
    "CompiledProgram",
    "DemoSet",
    "Fragment",
    "InputField",
    "Limits",
    "Metric",
    "Objective",
    "OutputField",
    "Prediction",
    "Program",
    "ProgramGraph",
    "PromptPool",
    "Registry",
    "Signature",
    "Task",
    "builders",
    "compile",
    "errors",
    "from_dspy",
    "load",
    "merge",
    "metrics",
    "modules",
    "optimizers",
    "transfer_matrix",
    "when",
]


def __getattr__(name: str) -> Any:
    if name == "PromptPool":
        importlib.import_module("fusionprog.builders")  # a pool file may name any of the families
    try:
        module, _, attribute = _HOMES[name].partition(":")
    except KeyError:
        raise AttributeError(f"module 'fusionprog' has no attribute {name!r}") from None
    home = importlib.import_module(module)
    value = getattr(home, attribute) if attribute else home
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
