"""The catalogue of modules: how a signature turns into calls of a language model.

A module is one file here. Write your own by subclassing ``Module`` and registering it with ``register_module``.
"""

if __name__ != "fusionprog.modules":
    raise ImportError("import fusionprog.modules; a bare 'import modules' would make a second copy of every class")

from fusionprog.modules.chain_of_thought import ChainOfThought
from fusionprog.modules.dspy_code import DSPyCode
from fusionprog.modules.function import Function
from fusionprog.modules.predict import Predict
from fusionprog.program.module import Ask, Module, register_module

__all__ = ["Ask", "ChainOfThought", "DSPyCode", "Function", "Module", "Predict", "register_module"]
