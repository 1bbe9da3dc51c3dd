"""The models that names, DSPy's settings and artifacts stand for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import dspy
from dspy import BaseLM
from dspy.lm15 import registered_providers

from fusionprog.errors import LMConfigurationError
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.model import LanguageModel
from fusionprog.lm.prices import known_provider, missing_keys


def litellm_model(name: str) -> DSPyModel:
    """Returns the model that LiteLLM knows as ``name`` (``"openai/gpt-4o-mini"``).

    Raises:
        LMConfigurationError: if the name has no provider that is known, or the provider's key is not set.
    """
    provider, _, model = name.partition("/")
    if not provider or not model:
        raise LMConfigurationError(
            f"{name!r} names no model",
            expected="a LiteLLM name with its provider ('openai/gpt-4o-mini'), or 'offline'",
        )
    declared = any(provider in (each.id, *each.aliases) for each in (one.definition for one in registered_providers()))
    if not declared and not known_provider(name):
        raise LMConfigurationError(
            f"the model {name!r} has a provider that nobody knows",
            found=provider,
            fix="See https://docs.litellm.ai/docs/providers for the names of providers",
        )
    if not declared and (missing := missing_keys(name)):
        raise LMConfigurationError(
            f"no key for the model {name!r}",
            fix=f"Set {missing}, or use lm='offline' to try without one",
        )
    return DSPyModel(dspy.LM(name, cache=False))


def configured_lm() -> BaseLM | None:
    """Returns the model of ``dspy.configure(lm=...)``, if there is one."""
    lm = dspy.settings.lm
    return lm if isinstance(lm, BaseLM) else None


def own_lm(model: LanguageModel) -> AbstractContextManager[Any]:
    """Lets DSPy ask a model by itself, within the context that is returned.

    Raises:
        LMConfigurationError: if it is no ``dspy.LM``.
    """
    if not isinstance(model, DSPyModel):
        raise LMConfigurationError(
            f"DSPy cannot ask the model {model.name!r} by itself", expected="a dspy.LM, or a LiteLLM name"
        )
    context: AbstractContextManager[Any] = dspy.context(lm=model.lm)
    return context


def parameters_of(*things: Any) -> list[Mapping[str, Any]]:
    """Returns the parameters of those among some things that are ``dspy.LM``s, or lists of them."""
    flat = [each for thing in things for each in (thing if isinstance(thing, (list, tuple)) else [thing])]
    return [each.kwargs for each in flat if isinstance(each, BaseLM)]


def as_model(lm: Any) -> DSPyModel | None:
    """Returns a ``dspy.LM`` (or a subclass of its base) as a model, or ``None`` for anything else."""
    return DSPyModel(lm) if isinstance(lm, BaseLM) else None


def recorded_model(identity: Mapping[str, Any]) -> DSPyModel | None:
    """Returns the model that ``DSPyModel.identity`` describes, or ``None`` if only its author's code can make it."""
    engine = identity.get("engine", "auto")
    if not isinstance(engine, str) or not {"model", "type", "parameters"} <= set(identity):
        return None
    lm = dspy.LM(str(identity["model"]), model_type=identity["type"], engine=engine, cache=False)
    lm.kwargs.update(identity["parameters"])
    return DSPyModel(lm)
