"""How a module asks its node's model, and what running it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from fusionprog.errors import LMContextError, LMOutputError, LMRefusedError, LMTruncatedError, ProgramError
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import Completion, LanguageModel
from fusionprog.runtime.render import RenderedPrompt

Visit: TypeAlias = tuple[str, Mapping[str, Any]]  # a node that code called, and inputs and outputs of the call


class NodeResult(NamedTuple):
    """What one node came to.

    Attributes:
        outputs: Its output fields; ``None`` if an answer could not be read.
        calls: Call key → answer, for every model call that it used.
        error: Why an answer could not be read.
        visits: What a module that runs code called.
        undeclared: What such a module made beside the outputs that it declares.
    """

    outputs: Mapping[str, Any] | None
    calls: Mapping[bytes, Completion]
    error: LMOutputError | None
    visits: Sequence[Visit] = ()
    undeclared: Mapping[str, Any] = MappingProxyType({})


class AskModel:
    """Asks a node's model with its prompt, and notes the answers.

    Attributes:
        calls: Call key → answer.
    """

    __slots__ = ("_client", "_model", "_prompt", "calls")

    def __init__(self, client: LMClient, model: LanguageModel | None, prompt: RenderedPrompt | None) -> None:
        self._client = client
        self._model = model
        self._prompt = prompt
        self.calls: dict[bytes, Completion] = {}

    async def __call__(
        self, inputs: Mapping[str, Any], /, *, sample: int = 0, node: str | None = None
    ) -> dict[str, Any]:
        """Returns the output fields of one answer; raises ``LMOutputError`` if it has none."""
        if node is not None:
            raise ProgramError(f"a module that calls no nodes asked node {node!r}")
        model, prompt = self._model, self._prompt
        assert prompt is not None and model is not None
        key, answer = await self._client.complete(model, prompt.request(inputs), sample=sample)
        self.calls[key] = answer
        if answer.finish != "stop":
            raise fault(model, answer)
        return prompt.parse(answer.text)


def fault(model: LanguageModel, answer: Completion) -> LMOutputError:
    """Returns why an answer that the model did not end by itself is none."""
    if answer.finish == "length":
        return LMTruncatedError(
            f"the answer of the model {model.name!r} reached max_tokens",
            found=f"{answer.output_tokens} tokens that end in {answer.text[-60:]!r}",
            fix="Give its dspy.LM a larger max_tokens=, or ask for less",
        )
    if answer.finish == "context":
        return LMContextError(
            f"the prompt does not fit the context window of the model {model.name!r}",
            fix="Use shorter inputs, fewer demonstrations, or a model with a larger window",
        )
    return LMRefusedError(
        f"the content filter of the model {model.name!r} held its answer back", found=repr(answer.text[:200])
    )
