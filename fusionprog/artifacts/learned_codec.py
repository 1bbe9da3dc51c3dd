"""What a search learned, to and from the artifact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fusionprog._internal.registry import did_you_mean
from fusionprog.artifacts.rounding import rounded
from fusionprog.artifacts.schema import EffectSpec, LearnedSpec, PointSpec, SharedEffectSpec, SharedSpec
from fusionprog.errors import ArtifactError
from fusionprog.runtime.learned import Effect, Learned, Point, Shared, SharedEffect

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
        shared=None if learned.shared is None else _shared_spec(learned.shared),
        sources=rounded(learned.sources),
    )


def decode_learned(
    spec: LearnedSpec, tasks: Iterable[str], nodes: Iterable[str], items: Iterable[str], components: int
) -> Learned:
    """Returns what was learned from an artifact.

    Args:
        spec: What the artifact says.
        tasks: The tasks.
        nodes: The nodes that ask a model or offer a choice.
        items: The pool's items.
        components: How many the basis of task embeddings has.

    Raises:
        ArtifactError: if it names something that there is not.
    """
    _check(spec.effects, set(tasks), "task")
    known_nodes, known_items = set(nodes), set(items)
    _check(
        [*spec.settings, *(node for each in spec.effects.values() for node in each)],
        known_nodes,
        "node that is searched",
    )
    for by_node in spec.effects.values():
        for named in by_node.values():
            _check(named, known_items, "item")
    if spec.shared is not None:
        _check(spec.shared.effects, known_nodes, "node that is searched")
        for mine in spec.shared.effects.values():
            _check(mine, known_items, "item")
            for item, each in mine.items():
                if not len(each.along) == len(each.along_se) <= components or any(se < 0 for se in each.along_se):
                    raise ArtifactError(
                        f"what tasks share of {item!r} does not fit the embedding",
                        expected=f"at most {components} directions, each with a standard deviation of at least 0",
                    )
    return Learned(
        method=spec.method,
        effects=_effects(spec.effects),
        settings=_effects(spec.settings),
        importance=spec.importance,
        curve=tuple(Point(each.trials, each.calls, each.score, each.expected, each.fold) for each in spec.curve),
        shared=None if spec.shared is None else _shared(spec.shared),
        sources=spec.sources,
    )


def _shared_spec(shared: Shared) -> SharedSpec:
    return SharedSpec(
        own=rounded(shared.own),
        effects={
            node: {
                item: SharedEffectSpec(
                    effect=rounded(each.mean),
                    se=rounded(each.se),
                    along=rounded(each.along),
                    along_se=rounded(each.along_se),
                )
                for item, each in mine.items()
            }
            for node, mine in shared.effects.items()
        },
    )


def _shared(spec: SharedSpec) -> Shared:
    return Shared(
        spec.own,
        {
            node: {
                item: SharedEffect(each.effect, each.se, tuple(each.along), tuple(each.along_se))
                for item, each in mine.items()
            }
            for node, mine in spec.effects.items()
        },
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
