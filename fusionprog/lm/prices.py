"""Prices and keys from LiteLLM's bundled tables; nothing is downloaded."""

from __future__ import annotations

import functools
import os
from types import ModuleType


@functools.cache
def _litellm() -> ModuleType:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm  # takes seconds, so it is imported where a priced model is used

    litellm.suppress_debug_info = True
    return litellm


@functools.cache
def usd_per_token(model: str) -> tuple[float, float] | None:
    """Returns dollars per input and per output token, or ``None`` where the model has no known price."""
    litellm = _litellm()
    for name in (model, model.rpartition("/")[2]):
        entry = litellm.model_cost.get(name)
        if entry and entry.get("input_cost_per_token") is not None:
            return float(entry["input_cost_per_token"]), float(entry.get("output_cost_per_token") or 0.0)
    return None


def missing_keys(model: str) -> tuple[str, ...]:
    """Returns the environment variables that the model's provider needs and that are not set."""
    return tuple(_litellm().validate_environment(model)["missing_keys"])
