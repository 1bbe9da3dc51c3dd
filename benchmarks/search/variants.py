"""Variants of fusionprog's effects model, for ablations: strategies registered beside it."""

from __future__ import annotations

from dataclasses import replace

from fusionprog.search.effects.strategy import EffectsStrategy
from fusionprog.search.strategy import Setting, strategy_registry

WITHOUT_KINDS = "effects-without-kinds"


@strategy_registry.register(WITHOUT_KINDS)
class WithoutKinds(EffectsStrategy):
    """The effects model that knows nothing of kinds of task: what items do everywhere, and in single tasks (W off).

    Args:
        setting: What it is made for.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(replace(setting, embeddings=dict.fromkeys(setting.embeddings, ())))
