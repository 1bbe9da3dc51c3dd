"""What a compile recorded, to and from the artifact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from fusionprog._internal.canonical import jsonable
from fusionprog.artifacts.learned_codec import decode_learned
from fusionprog.artifacts.lineage_codec import decode_lineage
from fusionprog.artifacts.rounding import rounded
from fusionprog.artifacts.schema import (
    AdaptedSpec,
    Artifact,
    ComparisonSpec,
    CompileSpec,
    FrontPointSpec,
    GrowthSpec,
    TaskScoreSpec,
)
from fusionprog.errors import ArtifactError
from fusionprog.runtime.growth import Growth
from fusionprog.runtime.record import Adapted, Comparison, CompileRecord, FrontPoint, Score, TaskRecord


def compile_spec(record: CompileRecord) -> CompileSpec:
    """Returns what a compile did, as the artifact holds it."""
    return CompileSpec(
        improved=record.improved,
        reason=record.reason,
        notes=list(record.notes),
        optimizer=jsonable(record.optimizer),
        seed=record.seed,
        trials=record.trials,
        spent=rounded(record.spent),
        phases=dict(record.phases),
        fingerprint=record.fingerprint,
        versions=dict(record.versions),
        refused=list(record.refused),
        weights=rounded(record.weights),
        front=[FrontPointSpec.model_validate(rounded(asdict(point))) for point in record.front],
    )


def score_spec(record: TaskRecord) -> TaskScoreSpec:
    """Returns a task's scores and cost as the artifact holds them."""
    return TaskScoreSpec(
        confirmation=None if record.confirmation is None else _comparison_spec(record.confirmation),
        test=None if record.test is None else _comparison_spec(record.test),
        cost=rounded(record.cost),
        adapted=None if record.adapted is None else AdaptedSpec.model_validate(rounded(asdict(record.adapted))),
        replaced=None if record.replaced is None else _comparison_spec(record.replaced),
    )


def decode_record(artifact: Artifact, nodes: Iterable[str], items: Iterable[str]) -> CompileRecord:
    """Returns the record of an artifact.

    Args:
        artifact: The artifact.
        nodes: The nodes that ask a model or offer a choice.
        items: The pool's items.

    Raises:
        ArtifactError: if what was learned is about something that there is not, or the lineage goes in a circle.
    """
    made = artifact.compile
    return CompileRecord(
        tasks={
            name: TaskRecord(
                confirmation=_comparison(artifact.scores[name].confirmation),
                test=_comparison(artifact.scores[name].test),
                metric=spec.metric,
                cost=artifact.scores[name].cost,
                sizes=spec.sizes,
                data=spec.data,
                adapted=_adapted(artifact.scores[name].adapted),
                replaced=_comparison(artifact.scores[name].replaced),
            )
            for name, spec in artifact.tasks.items()
        },
        improved=made.improved,
        reason=made.reason,
        trials=made.trials,
        spent=made.spent,
        phases=made.phases,
        seed=made.seed,
        optimizer=made.optimizer,
        models={node: str(identity.get("model", "")) for node, identity in artifact.lm.items()},
        versions=made.versions,
        fingerprint=made.fingerprint,
        notes=tuple(made.notes),
        weights=made.weights,
        refused=tuple(made.refused),
        front=tuple(FrontPoint(**point.model_dump()) for point in made.front),
        learned=None
        if artifact.learned is None
        else decode_learned(artifact.learned, artifact.tasks, nodes, items, len(artifact.embedding.scale)),
        lineage=decode_lineage(artifact.lineage, artifact.hash),
        growth=None if artifact.growth is None else _growth(artifact.growth),
    )


def _comparison_spec(comparison: Comparison) -> ComparisonSpec:
    return ComparisonSpec.model_validate(rounded(asdict(comparison)))


def growth_spec(growth: Growth) -> GrowthSpec:
    """Returns what tasks scored as the program grew, as the artifact holds it."""
    return GrowthSpec(
        stages=list(growth.stages),
        learned_in=dict(growth.learned_in),
        scores=[rounded(dict(scores)) for scores in growth.scores],
    )


def _growth(spec: GrowthSpec) -> Growth:
    if len(spec.scores) != len(spec.stages) or any(stage >= len(spec.stages) for stage in spec.learned_in.values()):
        raise ArtifactError(
            "what tasks scored as the program grew does not fit together",
            expected=f"scores of {len(spec.stages)} stages, and tasks that were learned in one of them",
        )
    return Growth(tuple(spec.stages), spec.learned_in, tuple(spec.scores))


def _adapted(spec: AdaptedSpec | None) -> Adapted | None:
    return None if spec is None else Adapted(spec.rung, spec.expected, spec.se, spec.sources)


def _comparison(spec: ComparisonSpec | None) -> Comparison | None:
    if spec is None:
        return None
    before, after = (Score(each.mean, each.se, each.n) for each in (spec.before, spec.after))
    return Comparison(before, after, spec.gain, spec.se)
