"""The strategies that come with the package, by name."""

from __future__ import annotations

from fusionprog.search.effects.strategy import EffectsStrategy
from fusionprog.search.plain import PlainStrategy, nsga2, random, tpe
from fusionprog.search.strategy import strategy_registry

__all__ = ["EffectsStrategy", "PlainStrategy", "nsga2", "random", "strategy_registry", "tpe"]
