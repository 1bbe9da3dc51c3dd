"""Which model runs which node, in the order that DESIGN gives; never silently an embedded reader."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import LMConfigurationError
from fusionprog.lm.dspy_named import as_model, configured_lm, litellm_model, recorded_model
from fusionprog.lm.model import Completion, LanguageModel, Messages
from fusionprog.lm.offline_model import EMBEDDED, embedded_model
from fusionprog.program.choice import Choice

LMSpec: TypeAlias = (
    Any  # a LiteLLM name, "offline", "offline-semantic", a dspy.LM, a LanguageModel, or a mapping node → any of these;
)
# where a search may choose among several, a list or a Choice of them

ENVIRONMENT = "FUSIONPROG_LM"


def resolve_models(lm: LMSpec, nodes: Sequence[str]) -> dict[str, LanguageModel]:
    """Returns node → model.

    Args:
        lm: What the user gave; ``None`` looks at ``FUSIONPROG_LM``, then at ``dspy.settings.lm``.
        nodes: The nodes that ask a model. A mapping must name all of them; the key ``"*"`` stands for the rest.

    Raises:
        LMConfigurationError: if there is no model, a key is missing, or the mapping does not fit the nodes.
    """
    if not isinstance(lm, Mapping):
        model = resolve_model(lm)
        return dict.fromkeys(nodes, model)
    _check_nodes(lm, nodes)
    made = {name: resolve_model(spec) for name, spec in lm.items()}
    return {node: made[node if node in made else "*"] for node in nodes}


def offered_models(lm: LMSpec, nodes: Sequence[str]) -> dict[str, dict[str, LanguageModel]]:
    """Returns node → name → model, of all that the search may choose from; the first is the one as written.

    Args:
        lm: As ``resolve_models`` takes it; in the place of a model there may be a ``fusionprog.Choice`` or a list.
        nodes: As ``resolve_models`` takes them.

    Raises:
        LMConfigurationError: as ``resolve_models``; also if a list is empty or names a model twice.
    """
    if not isinstance(lm, Mapping):
        return dict.fromkeys(nodes, _offer(lm))
    _check_nodes(lm, nodes)
    made = {name: _offer(spec) for name, spec in lm.items()}
    return {node: made[node if node in made else "*"] for node in nodes}


def _offer(spec: Any) -> dict[str, LanguageModel]:
    """Models by name; several of one name, with other parameters, are numbered."""
    specs = spec.options if isinstance(spec, Choice) else spec if isinstance(spec, (list, tuple)) else (spec,)
    if not specs:
        raise LMConfigurationError("lm offers no model", fix="Name at least one, e.g. ['openai/gpt-4o-mini']")
    made: dict[str, LanguageModel] = {}
    for model in map(resolve_model, specs):
        if any(model.identity == other.identity for other in made.values()):
            raise LMConfigurationError(f"lm offers the model {model.name!r} twice", fix="Name each model once")
        count = 1 + sum(other.name == model.name for other in made.values())
        made[model.name if count == 1 else f"{model.name} ({count})"] = model
    return made


def _check_nodes(lm: Mapping[Any, Any], nodes: Sequence[str]) -> None:
    for name in lm:
        if name not in nodes and name != "*":
            raise LMConfigurationError(f"lm names an unknown node {name!r}", fix=did_you_mean(str(name), nodes))
    for node in nodes:
        if node not in lm and "*" not in lm:
            raise LMConfigurationError(f"lm has no model for node {node!r}", fix="Add it, or '*' for all others")


def resolve_model(lm: Any) -> LanguageModel:
    """Returns one model.

    Raises:
        LMConfigurationError: if there is none, or its key is missing.
    """
    spec = lm if lm is not None else os.environ.get(ENVIRONMENT) or configured_lm()
    if spec is None:
        raise LMConfigurationError(
            "there is no language model",
            fix=f"Pass lm=, e.g. lm='openai/gpt-4o-mini', or set {ENVIRONMENT}, or call dspy.configure(lm=...); "
            "lm='offline' runs the embedded reader, with no key and no cost",
        )
    if isinstance(spec, str):
        return embedded_model(spec) if spec in EMBEDDED else litellm_model(spec)
    if (model := as_model(spec)) is not None:
        return model
    if hasattr(spec, "complete") and hasattr(spec, "identity"):
        known: LanguageModel = spec
        return known
    raise LMConfigurationError(
        "lm is no language model",
        expected="a LiteLLM name, a dspy.LM, 'offline' or 'offline-semantic'",
        found=type(spec).__name__,
    )


class UnboundModel:
    """Stands for a model of an artifact that cannot be made again without its author's code."""

    free = False
    persistent = True
    usd_per_token = None
    max_output_tokens = None

    def __init__(self, identity: Mapping[str, Any]) -> None:
        self.identity = identity
        self.name = str(identity.get("model", "a custom engine"))

    async def complete(self, messages: Messages) -> Completion:
        """Raises ``LMConfigurationError``: there is nothing to ask."""
        raise LMConfigurationError(
            f"the program was compiled on {self.name!r}, whose engine cannot be made from its name",
            fix="Load the artifact with lm=your_lm",
        )


def model_from_identity(identity: Mapping[str, Any]) -> LanguageModel:
    """Returns the model that an artifact recorded; an ``UnboundModel`` where only its author's code can make it."""
    name = identity.get("model")
    if isinstance(name, str) and name in EMBEDDED:
        return EMBEDDED[name]()
    return recorded_model(identity) or UnboundModel(identity)
