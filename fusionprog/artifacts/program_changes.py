"""What differs between two programs, field by field and in words: nodes, fields, types, labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fusionprog.artifacts.schema import (
    FieldSpec,
    InputSpec,
    ModuleSpec,
    NodeSpec,
    OutputSpec,
    ProgramSpec,
    SharedModuleSpec,
    SignatureSpec,
)
from fusionprog.artifacts.types.changes import type_changes, type_words
from fusionprog.artifacts.types.values import shorten

_VERBS = ("was ", "is ", "had ", "does ")


@dataclass(frozen=True)
class Change:
    """Something in which two programs differ.

    Attributes:
        place: Where: ``triage``, ``triage.team``, ``task shop, triage.team``.
        what: What is different, without a full stop.
        breaks: Whether the program is another one. Texts (instructions, descriptions, demonstrations) and the settings
            of modules may change: what is compiled keeps its own.
    """

    place: str
    what: str
    breaks: bool = True

    def __str__(self) -> str:
        return f"{self.place} {self.what}" if self.what.startswith(_VERBS) else f"{self.place}: {self.what}"


def program_changes(before: ProgramSpec, after: ProgramSpec) -> list[Change]:
    """Returns what differs between two programs, in the order of the first."""
    old, new = ({each.name: each for each in program.nodes} for program in (before, after))
    modules, others = modules_of(before), modules_of(after)
    changes = [*_name(before, after), *_inputs(before.inputs, after.inputs)]
    for name in _names(old, new):
        if name not in old or name not in new:
            changes.append(Change(f"node {name}", "is new" if name in new else "is gone"))
            continue
        changes += _module(name, modules[name], others[name])
        changes += signature_changes(name, signature_of(modules[name]), signature_of(others[name]))
        changes += _edges(name, old[name], new[name])
    return [*changes, *output_changes(before.outputs, after.outputs)]


def signature_changes(node: str, before: SignatureSpec, after: SignatureSpec) -> Iterator[Change]:
    """Yields what differs between two signatures of a node."""
    if before.instructions != after.instructions:
        yield Change(node, "other instructions", breaks=False)
    old, new = _fields(before), _fields(after)
    for name in _names(old, new):
        place = f"{node}.{name}"
        if name not in old or name not in new:
            role = (new if name in new else old)[name][0]
            yield Change(place, f"is {'new' if name in new else 'gone'} (an {role})")
            continue
        (role, one), (other_role, other) = old[name], new[name]
        if role != other_role:
            yield Change(place, f"was an {role}, is an {other_role}")
        yield from (Change(place, line) for line in type_changes(one.type, other.type))
        if one.constraints != other.constraints and one.type == other.type:
            yield Change(place, f"had constraints {one.constraints or 'none'}, has {other.constraints or 'none'}")
        yield from _defaults(place, one, other)
        if one.description != other.description:
            yield Change(place, "another description", breaks=False)
    if old.keys() == new.keys() and list(old) != list(new):
        yield Change(node, f"its fields stand in another order: {', '.join(new)}", breaks=False)


def output_changes(before: Mapping[str, OutputSpec], after: Mapping[str, OutputSpec]) -> Iterator[Change]:
    """Yields what differs between the outputs of two programs, or of a task in them."""
    for name in _names(before, after):
        place = f"output {name}"
        if name not in before or name not in after:
            yield Change(place, "is new" if name in after else "is gone")
        elif before[name] != after[name]:
            yield Change(place, f"was {_said(before[name])}, is {_said(after[name])}")


def modules_of(program: ProgramSpec) -> dict[str, ModuleSpec]:
    """Returns node → its module, also where it shares that of an earlier node."""
    found: dict[str, ModuleSpec] = {}
    for node in program.nodes:
        found[node.name] = found[node.module.same_as] if isinstance(node.module, SharedModuleSpec) else node.module
    return found


def signature_of(module: ModuleSpec) -> SignatureSpec:
    """Returns a module's signature: where it is made of others, that of the first."""
    return signature_of(module.modules[0]) if module.signature is None else module.signature


def _name(before: ProgramSpec, after: ProgramSpec) -> Iterator[Change]:
    if before.name != after.name:
        yield Change("the program", f"was named {before.name!r}, is named {after.name!r}", breaks=False)


def _inputs(before: Iterable[InputSpec], after: Iterable[InputSpec]) -> Iterator[Change]:
    old, new = ({each.name: each for each in inputs} for inputs in (before, after))
    for name in _names(old, new):
        place = f"input {name}"
        if name not in old or name not in new:
            yield Change(place, "is new" if name in new else "is gone")
            continue
        one, other = old[name], new[name]
        if one.type is not None and other.type is not None:
            yield from (Change(place, line) for line in type_changes(one.type, other.type))
        elif one.type != other.type:
            words = ["without a type" if each.type is None else type_words(each.type) for each in (one, other)]
            yield Change(place, f"was {words[0]}, is {words[1]}")
        yield from _defaults(place, one, other)


def _module(node: str, before: ModuleSpec, after: ModuleSpec) -> Iterator[Change]:
    if _made_of(before) != _made_of(after):
        yield Change(f"node {node}", f"was {_made_of(before)}, is {_made_of(after)}")
    elif _arguments(before) != _arguments(after):
        yield Change(f"node {node}", "other settings of its module", breaks=False)


def _made_of(module: ModuleSpec) -> str:
    return f"{module.name}({', '.join(_made_of(each) for each in module.modules)})" if module.modules else module.name


def _arguments(module: ModuleSpec) -> str:
    return json.dumps([module.arguments, [_arguments(each) for each in module.modules]], sort_keys=True)


def _edges(node: str, before: NodeSpec, after: NodeSpec) -> Iterator[Change]:
    for name in _names(before.sources, after.sources):
        one, other = before.sources.get(name), after.sources.get(name)
        if one != other:
            words = ["nothing" if each is None else _said(each.model_dump(mode="json")) for each in (one, other)]
            yield Change(f"{node}.{name}", f"was fed by {words[0]}, is fed by {words[1]}")
    if before.called_by != after.called_by:
        words = ["no code" if each is None else each for each in (before.called_by, after.called_by)]
        yield Change(f"node {node}", f"was called by {words[0]}, is called by {words[1]}")
    elif before.calls != after.calls:
        said = f"was called at most {before.calls} times, is called at most {after.calls}"
        yield Change(f"node {node}", said, breaks=False)


def _defaults(place: str, before: FieldSpec | InputSpec, after: FieldSpec | InputSpec) -> Iterator[Change]:
    if before.default != after.default:
        words = [
            "no default" if each.default is None else f"the default {each.default.value!r}" for each in (before, after)
        ]
        yield Change(place, f"had {shorten(words[0])}, has {shorten(words[1])}")


def _fields(signature: SignatureSpec) -> dict[str, tuple[str, FieldSpec]]:
    inputs = {each.name: ("input", each) for each in signature.inputs}
    return {**inputs, **{each.name: ("output", each) for each in signature.outputs}}


def _names(before: Iterable[str], after: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*before, *after]))


def _said(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))  # an input's name, or a field
    if isinstance(value, str):
        return value
    return shorten(json.dumps(value if not hasattr(value, "model_dump") else value.model_dump(mode="json")))
