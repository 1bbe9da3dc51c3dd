"""The one file that knows DSPy's language models and adapters.

DSPy moves this part of itself in 3.5; ``dspy`` is pinned below that, and private names of it are read here only.
"""

from __future__ import annotations

import asyncio
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any

import dspy
from dspy.adapters.utils import format_field_value, get_annotation_name
from dspy.clients.backend_selection import CLIENT_KEYS
from dspy.clients.base_lm import BaseLM
from dspy.lm15 import request_from_openai_chat
from dspy.utils.exceptions import AdapterParseError, LMAuthError
from dspy.utils.exceptions import LMConfigurationError as DSPyConfigurationError
from dspy.utils.exceptions import LMError as DSPyLMError

from fusionprog._internal.canonical import jsonable
from fusionprog.errors import LMConfigurationError, LMError, LMOutputError
from fusionprog.lm.model import Completion, Message, Messages, approximate_tokens
from fusionprog.lm.prices import missing_keys, usd_per_token
from fusionprog.program.signature import SignatureType

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

_ADAPTERS = {"chat": dspy.ChatAdapter, "json": dspy.JSONAdapter, "xml": dspy.XMLAdapter}
_URL_CREDENTIALS = re.compile(r"//[^/@]*@")
_SECRETS = {"api_key", "headers", "extra_headers", "azure_ad_token_provider"}


def type_text(annotation: Any) -> str:
    """Returns a type as prompts print it (``Literal['a', 'b']``)."""
    return str(get_annotation_name(annotation))


class PromptFormat:
    """How prompts are written and answers are read: one of DSPy's adapters, without its second tries.

    Args:
        name: ``chat``, ``json`` or ``xml``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        # ChatAdapter would silently ask again in JSON where an answer cannot be read: two calls for one.
        self._adapter = _ADAPTERS[name]() if name == "json" else _ADAPTERS[name](use_json_adapter_fallback=False)

    def system(self, signature: SignatureType) -> str:
        """Returns the system message: fields, structure, and last the signature's instructions."""
        return str(self._adapter.format_system_message(signature))

    def demo(self, signature: SignatureType, demo: Mapping[str, Any]) -> tuple[Message, ...]:
        """Returns a demonstration as a user and an assistant message; none if it lacks inputs or outputs."""
        return tuple(self._adapter.format_demos(signature, [dict(demo)]))

    def is_complete(self, signature: SignatureType, demo: Mapping[str, Any]) -> bool:
        """Whether a demonstration has all fields; DSPy shows the others first."""
        return all(demo.get(name) is not None for name in signature.fields)

    def user_parts(self, signature: SignatureType) -> tuple[str, ...]:
        """Returns the last message cut at its inputs, which come in the signature's order between the parts."""
        marks = {name: f"\x00{name}\x00" for name in signature.input_fields}
        text = self._adapter.format_user_message_content(signature, marks, main_request=True)
        parts = []
        for mark in marks.values():
            before, _, text = text.partition(mark)
            parts.append(before)
        return (*parts, text)

    def value(self, signature: SignatureType, name: str, value: Any) -> str:
        """Returns an input's value as the prompt writes it."""
        if type(value) is str:
            return value
        return str(format_field_value(signature.input_fields[name], value))

    def parse(self, signature: SignatureType, text: str) -> dict[str, Any]:
        """Reads the output fields from an answer.

        Raises:
            LMOutputError: if a field is missing or its value does not have the field's type.
        """
        try:
            return dict(self._adapter.parse(signature, text))
        except (AdapterParseError, ValueError, TypeError) as error:
            raise LMOutputError(
                "the model's answer cannot be read",
                expected=f"the fields {', '.join(signature.output_fields)} in {self.name} format",
                found=repr(text[:200]),
            ) from error


class DSPyModel:
    """A ``dspy.LM`` as a language model: its own engine, parameters, retries and callbacks.

    Args:
        lm: The model. DSPy's response cache is passed by; the store takes its place.
        name: What an engine without a state of its own is known by in the store.
    """

    free = False

    def __init__(self, lm: BaseLM, name: str | None = None) -> None:
        self._lm = lm
        self.name: str = name or lm.model
        engine = getattr(lm, "_engine_spec", "auto")
        self.custom = not isinstance(engine, str) or not isinstance(lm, dspy.LM)
        self.persistent = not self.custom or name is not None or hasattr(engine, "dump_state")
        self.identity: Mapping[str, Any] = self._identity(engine, name)

    def _identity(self, engine: Any, name: str | None) -> dict[str, Any]:
        parameters = {
            key: _URL_CREDENTIALS.sub("//", value) if isinstance(value, str) else value
            for key, value in self._lm.kwargs.items()
            if key not in _SECRETS and value is not None
        }
        identity: dict[str, Any] = {
            "model": self._lm.model,
            "type": self._lm.model_type,
            "parameters": parameters,
        }
        if self.custom:
            state = (
                engine.dump_state() if hasattr(engine, "dump_state") else name or f"process {os.getpid()}:{id(engine)}"
            )
            identity["engine"] = [f"{type(engine).__module__}.{type(engine).__qualname__}", state]
        elif engine != "auto":
            identity["engine"] = engine
        return dict(jsonable(identity))

    @property
    def usd_per_token(self) -> tuple[float, float] | None:
        """Dollars per input and output token; unknown for a custom engine."""
        return None if self.custom else usd_per_token(self._lm.model)

    async def complete(self, messages: Messages) -> Completion:
        """Returns one answer.

        Raises:
            LMError: if DSPy's client gave up; the provider's own words are in it.
        """
        try:
            with dspy.context(disable_history=True):
                return await self._ask(messages)
        except (LMAuthError, DSPyConfigurationError) as error:
            raise LMConfigurationError(
                f"the model {self.name!r} cannot be used",
                found=str(error),
                fix="Check the key and the name of the model",
            ) from error
        except DSPyLMError as error:
            raise LMError(f"the model {self.name!r} gave no answer", found=str(error)) from error

    async def _ask(self, messages: Messages) -> Completion:
        if not hasattr(self._lm, "_engine_spec"):
            return await asyncio.to_thread(self._ask_old, messages)
        body = {key: value for key, value in self._lm.kwargs.items() if key not in CLIENT_KEYS and value is not None}
        request = request_from_openai_chat({"model": self._lm.model, "messages": [dict(m) for m in messages], **body})
        borrowed = not isinstance(self._lm._engine_spec, str)
        if borrowed and self._lm._async_engine_spec is None:
            response = await asyncio.to_thread(self._lm, request, cache=False)
        else:
            response = await self._lm.acall(request, cache=False)
        return self._completion(
            messages, response.text or "", response.usage.input_tokens, response.usage.output_tokens
        )

    def _ask_old(self, messages: Messages) -> Completion:
        with warnings.catch_warnings():
            # A subclass of BaseLM has only this way in; DSPy announces its end in 3.5, which is pinned out.
            warnings.simplefilter("ignore", DeprecationWarning)
            answer = self._lm(messages=[dict(message) for message in messages])[0]
        return self._completion(messages, answer["text"] if isinstance(answer, dict) else answer, None, None)

    def _completion(self, messages: Messages, text: str, read: int | None, written: int | None) -> Completion:
        read = sum(approximate_tokens(message["content"]) for message in messages) if read is None else read
        written = approximate_tokens(text) if written is None else written
        price = self.usd_per_token
        return Completion(text, read, written, None if price is None else read * price[0] + written * price[1])


def litellm_model(name: str) -> DSPyModel:
    """Returns the model that LiteLLM knows as ``name`` (``"openai/gpt-4o-mini"``).

    Raises:
        LMConfigurationError: if the name has no provider or the provider's key is not set.
    """
    if "/" not in name:
        raise LMConfigurationError(
            f"{name!r} names no model",
            expected="a LiteLLM name with its provider ('openai/gpt-4o-mini'), or 'offline'",
        )
    if missing := missing_keys(name):
        raise LMConfigurationError(
            f"no key for the model {name!r}",
            fix=f"Set {' and '.join(missing)}, or use lm='offline' to try without one",
        )
    return DSPyModel(dspy.LM(name, cache=False))


def configured_lm() -> BaseLM | None:
    """Returns the model of ``dspy.configure(lm=...)``, if there is one."""
    lm = dspy.settings.lm
    return lm if isinstance(lm, BaseLM) else None


def as_model(lm: Any) -> DSPyModel | None:
    """Returns a ``dspy.LM`` (or a subclass of its base) as a model, or ``None`` for anything else."""
    return DSPyModel(lm) if isinstance(lm, BaseLM) else None


def recorded_model(identity: Mapping[str, Any]) -> DSPyModel | None:
    """Returns the model that ``DSPyModel.identity`` describes, or ``None`` if it has an engine of its own."""
    engine = identity.get("engine", "auto")
    if not isinstance(engine, str):
        return None
    parameters = dict(identity.get("parameters", {}))
    return DSPyModel(
        dspy.LM(
            str(identity["model"]), model_type=identity.get("type", "chat"), engine=engine, cache=False, **parameters
        )
    )
