"""What a module is: how a signature turns into calls of a language model.

The catalogue of modules is the package ``fusionprog.modules``; this is the contract they fulfil.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, Protocol

from fusionprog._internal.registry import Registry
from fusionprog.errors import ProgramError
from fusionprog.program.signature import SignatureType, as_signature


class Ask(Protocol):
    """Asks the node's language model once; the runtime hands one to every run of a module."""

    async def __call__(
        self, inputs: Mapping[str, Any], /, *, sample: int = 0, node: str | None = None
    ) -> dict[str, Any]:
        """Renders the node's prompt for ``inputs``, calls the model and parses the answer.

        Args:
            inputs: The prompted signature's input fields.
            sample: Tells repeated answers to the same prompt apart (0 is the first).
            node: For a module that calls nodes: the node whose prompt and model are meant.

        Returns:
            The prompted signature's output fields.
        """
        ...


class Module(ABC):
    """A module: a leaf of a program's graph.

    Calling a module inside ``Program.forward`` makes a node of it. A subclass is registered under a name with
    ``register_module`` and must give back, from ``arguments()``, what its constructor needs beside the
    signature, as JSON data: the artifact keeps both and rebuilds the module from them.
    """

    kind: ClassVar[str]
    repeatable: bool = True  # whether equal inputs give equal outputs, so that a result may be used again
    calls_nodes: ClassVar[bool] = False  # whether it runs code that calls other nodes of the graph
    open_outputs: bool = False  # whether it may make more fields than it declares; they are shown by their names
    demos: tuple[Mapping[str, Any], ...] = ()  # demonstrations that are part of the program as written

    def __init__(self, signature: SignatureType | str) -> None:
        """Keeps the signature: a class, or DSPy's short form (``"question -> answer"``).

        Raises:
            ProgramError: if it is neither, or has no outputs.
        """
        self.signature: SignatureType = as_signature(signature, type(self).__name__)

    def arguments(self) -> dict[str, Any]:
        """Returns the constructor's arguments beside the signature, as JSON data."""
        return {}

    def prompted(self, signature: SignatureType) -> SignatureType | None:
        """Returns the signature that the language model is asked, given the node's signature in a task.

        ``None`` says that the module asks no model.
        """
        return signature

    @abstractmethod
    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Returns the node's outputs for its inputs."""

    def __call__(self, *unnamed: Any, **inputs: Any) -> Any:
        """Makes a node of this module in the graph that is being traced.

        Raises:
            ProgramError: outside of a traced ``forward``, as an uncompiled module runs nothing; and for inputs
                without their names.
        """
        tracer = active_tracer.get()
        if tracer is None:
            raise ProgramError(
                f"{type(self).__name__} was called outside of a program's forward()",
                fix="Call it inside forward() and compile the program with fusionprog.compile(...)",
            )
        if unnamed:
            raise ProgramError(
                f"{type(self).__name__} was called with inputs that have no names",
                fix=f"Write {next(iter(self.signature.input_fields), 'name')}=... for each of them",
            )
        return tracer.call_module(self, inputs)


class ModuleTracer(Protocol):
    """What a module needs of the tracer that turns its calls into nodes."""

    def call_module(self, module: Module, inputs: Mapping[str, Any]) -> Any:
        """Adds a node for this call and returns its symbolic outputs."""
        ...


active_tracer: ContextVar[ModuleTracer | None] = ContextVar("active_tracer", default=None)

module_registry: Registry[type[Module]] = Registry("module", ProgramError)


def register_module(name: str) -> Any:
    """Returns a class decorator that enters a module into the catalogue under ``name``."""

    def enter(cls: type[Module]) -> type[Module]:
        cls.kind = name
        return module_registry.register(name)(cls)

    return enter
