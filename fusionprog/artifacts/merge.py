"""``merge``: one program from two that come from the same one, node by node."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fusionprog.artifacts.document import parse_artifact
from fusionprog.artifacts.file import load
from fusionprog.artifacts.merge_choice import Taken, model_identity, take
from fusionprog.artifacts.merged_artifact import merged_artifact
from fusionprog.artifacts.program_changes import output_changes, program_changes, signature_changes
from fusionprog.artifacts.program_codec import decode_program, encode_program
from fusionprog.artifacts.registry.registry import Registry
from fusionprog.artifacts.schema import Artifact
from fusionprog.errors import ArtifactError, ArtifactMismatchError
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.lineage import common_ancestors

Source = CompiledProgram | str | os.PathLike[str]


def merge(
    one: Source, other: Source, base: Source | None = None, *, registry: Registry | str | None = None
) -> CompiledProgram:
    """Makes one program of two that were made from the same one.

    A node that only one of them changed since is taken from that one; one that both changed, from the one with the
    higher mean gain on confirmation over the tasks that both have (the first, if neither is higher). Tasks that only
    one of them has are taken as they are. What was taken from where and why is in ``record.notes``. Nothing is
    measured: where a task's nodes come from both, its scores are those of the better one, and a note says so.

    Args:
        one: A compiled program, or its artifact.
        other: Another.
        base: The nearest program that both were made from.
        registry: A registry in which it is found, in the place of ``base``.

    Returns:
        The merged program, on models that their names make; both are its parents.

    Raises:
        ArtifactError: if they have no common ancestor, or ``base`` is not the nearest; ``ArtifactMismatchError`` if
            they are not the same program, naming what differs.
        RegistryError: if the registry does not have it.
    """
    sides = [_program(each) for each in (one, other)]
    ancestor = _base(sides, base, registry)
    artifacts = [Artifact.model_validate(encode_program(each)) for each in sides]
    _check_alike(artifacts)
    taken = take(sides, ancestor)
    before = Artifact.model_validate(encode_program(ancestor))
    merged = decode_program(merged_artifact(sides, artifacts, before, taken), {}, {})
    _check_models(merged, sides, taken)
    return merged


def _program(source: Source) -> CompiledProgram:
    return source if isinstance(source, CompiledProgram) else load(source)


def _base(sides: Sequence[CompiledProgram], base: Source | None, registry: Registry | str | None) -> CompiledProgram:
    one, other = ((each.content_hash, each.record.lineage) for each in sides)
    known = common_ancestors(one, other)
    if not known:
        raise ArtifactError(
            "the two programs have no common ancestor",
            expected="two that were made from the same program (compile(prior=...), adapt, merge)",
            found=f"lineages of {one[0]} and {other[0]} that do not meet",
            fix="Compile one of them again with the other as its prior",
        )
    if base is not None:
        program = _program(base)
        if program.content_hash not in known:
            raise ArtifactError(
                "the base is not the nearest program that both were made from",
                expected=" or ".join(known),
                found=program.content_hash,
                fix="Pass the artifact with that hash",
            )
        return program
    if registry is None:
        raise ArtifactError("a merge needs the base", expected=f"the artifact {known[0]}", fix="Pass it, or a registry")
    opened = registry if isinstance(registry, Registry) else Registry(registry)
    for name in known:
        if (text := opened.text_of(name)) is not None:
            return decode_program(parse_artifact(text, f"the artifact {name} in the registry {opened.url!r}"), {}, {})
    raise ArtifactError(
        f"the registry {opened.url!r} does not have the program that both were made from",
        expected=" or ".join(known),
        fix="Push it there, or pass the artifact itself",
    )


def _check_alike(artifacts: Sequence[Artifact]) -> None:
    one, other = artifacts
    lines = [str(each) for each in program_changes(one.program, other.program)]
    if not lines and one.program != other.program:
        lines = ["the programs are put together in another way"]
    for name in one.tasks:
        if name in other.tasks:
            left, right = one.tasks[name], other.tasks[name]
            for node in dict.fromkeys([*left.signatures, *right.signatures]):
                if node not in left.signatures or node not in right.signatures:
                    lines.append(f"task {name}, {node}: only one of them has a signature of its own")
                    continue
                changes = signature_changes(node, left.signatures[node], right.signatures[node])
                lines += [f"task {name}, {each}" for each in changes]
            lines += [f"task {name}, {each}" for each in output_changes(left.outputs, right.outputs)]
    if one.embedding.embedder != other.embedding.embedder:
        lines.append("their tasks were embedded by different embedders")
    if lines:
        raise ArtifactMismatchError(
            "the two are not the same program",
            found="; ".join(lines[:20]),
            fix="Merge programs that were compiled from the same code",
            differences=tuple(lines),
        )


def _check_models(merged: CompiledProgram, sides: Sequence[CompiledProgram], taken: Taken) -> None:
    """A node has one model, and one more where tasks are left as written: two programs may need more of them."""
    for task in merged.tasks:
        for node in merged.compiled_for:
            wanted = model_identity(sides[taken.side(node, task)], node, task)
            if model_identity(merged, node, task) != wanted:
                raise ArtifactError(
                    f"node {node!r} would need more models than a program can have",
                    expected=f"{(wanted or {}).get('model')!r} in task {task!r}",
                    found="others in other tasks",
                    fix="Compile both on one model, or adapt one of them to the other's tasks",
                )
