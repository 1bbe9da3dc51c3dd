"""Builders: families of prompt text and demonstrations, made from each task's training data."""

from fusionprog.builders.demonstrations import BalancedDemos, BasisDemos, BootstrappedDemos, ClusteredDemos
from fusionprog.builders.glossary import LabelGlossary
from fusionprog.builders.offers import default_families

__all__ = [
    "BalancedDemos",
    "BasisDemos",
    "BootstrappedDemos",
    "ClusteredDemos",
    "LabelGlossary",
    "default_families",
]
