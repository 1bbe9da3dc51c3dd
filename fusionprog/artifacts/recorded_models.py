"""Language models from the identities that an artifact holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusionprog._internal.canonical import canonical_json
from fusionprog.errors import ArtifactError
from fusionprog.lm.model import LanguageModel, recorded_identity
from fusionprog.lm.resolve import UnboundModel, model_from_identity


def decode_models(identities: Mapping[str, Mapping[str, Any]]) -> dict[str, LanguageModel]:
    """Returns node → model; equal identities share one.

    Raises:
        ArtifactError: if an identity is none.
    """
    made: dict[str, LanguageModel] = {}
    models = {}
    for node, identity in identities.items():
        key = canonical_json(identity)
        if key not in made:
            made[key] = _model(identity, node)
        models[node] = made[key]
    return models


def changed_models(
    recorded: Mapping[str, Mapping[str, Any]], models: Mapping[str, LanguageModel]
) -> list[tuple[str, str]]:
    """Returns (name then, name now) of the models that are not those that were recorded, each pair once, sorted."""
    return sorted(
        {
            (str(identity.get("model", "a custom engine")), models[node].name)
            for node, identity in recorded.items()
            if not isinstance(models[node], UnboundModel) and recorded_identity(models[node]) != identity
        }
    )


def _model(identity: Mapping[str, Any], node: str) -> LanguageModel:
    if not isinstance(identity.get("model", ""), str):
        raise ArtifactError(f"the model of node {node!r} has no name", found=repr(identity.get("model"))[:80])
    try:
        return model_from_identity(identity)
    except Exception as error:
        raise ArtifactError(
            f"the model of node {node!r} cannot be made",
            found=repr(error)[:200],
            fix="Save the program again with the fusionprog that wrote it",
        ) from error
