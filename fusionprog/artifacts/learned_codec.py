"""What a search learned, to and from the artifact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fusionprog._internal.registry import did_you_mean
from fusionprog.artifacts.rounding import rounded
from fusionprog.artifacts.schema import EffectSpec, LearnedSpec, PointSpec
from fusionprog.errors import ArtifactError
from fusionprog.runtime.learned import Effect, Learned, Point

Effects = Mapping[str, Mapping[str, Mapping[str, Effect]]]
EffectSpecs = Mapping[str, Mapping[str, Mapping[str, EffectSpec]]]


def learned_spec(learned: Learned, tasks: Iterable[str]) -> LearnedSpec:
    """Returns what was learned as the artifact holds it; of what it says of tasks, only what is about ``tasks``."""
    known = set(tasks)
    return LearnedSpec(
        method=learned.method,
        importance=rounded(learned.importance),
        settings=_effect_specs(learned.settings),
        effects=_effect_specs({task: each for task, each in learned.effects.items() if task in known}),
        curve=[
            PointSpec(
                fold=each.fold,
                trials=each.trials,
                calls=each.calls,
                score=rounded(each.score),
                expected=rounded(each.expected),
            )
            for each in learned.curve
        ],
    )


def decode_learned(spec: LearnedSpec, tasks: Iterable[str], nodes: Iterable[str], items: Iterable[str]) -> Learned:
    """Returns what was learned from an artifact.

    Args:
        spec: What the artifact says.
        tasks: The tasks.
        nodes: The nodes that ask a model.
        items: The pool's items.

    Raises:
        ArtifactError: if it names something that there is not.
    """
    _check(spec.effects, set(tasks), "task")
    known_nodes, known_items = set(nodes), set(items)
    _check([*spec.settings, *(node for each in spec.effects.values() for node in each)], known_nodes, "node that asks")
    for by_node in spec.effects.values():
        for named in by_node.values():
            _check(named, known_items, "item")
    return Learned(
        method=spec.method,
        effects=_effects(spec.effects),
        settings=_effects(spec.settings),
        importance=spec.importance,
        curve=tuple(Point(each.trials, each.calls, each.score, each.expected, each.fold) for each in spec.curve),
    )


def _effect_specs(effects: Effects) -> dict[str, dict[str, dict[str, EffectSpec]]]:
    return {
        outer: {
            middle: {
                name: EffectSpec(effect=rounded(each.mean), se=rounded(each.se), n=each.n)
                for name, each in named.items()
            }
            for middle, named in inner.items()
        }
        for outer, inner in effects.items()
    }


def _effects(specs: EffectSpecs) -> dict[str, dict[str, dict[str, Effect]]]:
    return {
        outer: {
            middle: {name: Effect(each.effect, each.se, each.n) for name, each in named.items()}
            for middle, named in inner.items()
        }
        for outer, inner in specs.items()
    }


def _check(names: Iterable[str], known: set[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise ArtifactError(f"what was learned names {name!r}, which is no {what}", fix=did_you_mean(name, known))
