"""From the JSON that `fusionprog.artifacts.types` documents to Python types.

The file is data: names in it are compared and given to new classes, never looked up, imported or evaluated.
"""

from __future__ import annotations

import enum
import inspect
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, ForwardRef, Literal, Union, get_args

import pydantic

from fusionprog.artifacts.types.forms import (
    BARE,
    CONFIG,
    ENUM_BASES,
    SCALARS,
    usable_member_name,
    usable_name,
)
from fusionprog.artifacts.types.metadata import (
    ATTRIBUTES,
    CONSTRAINT_NAMES,
    FACTORIES,
    NOTES,
    PYTHON_NAMES,
    keyword_arguments,
)
from fusionprog.artifacts.types.sharing import BUILDING, REFERENCE, SharedClasses
from fusionprog.artifacts.types.values import MAX_DEPTH, decode_value, shorten
from fusionprog.errors import ArtifactError

_MAX_PARTS: Final = 5_000
_MAX_DEFINITIONS: Final = 100


class _FreshTuple(tuple[Any, ...]):
    # typing caches X[parameters] by equality, and Literal["a", "b"] equals Literal["b", "a"]: without a hash
    # the parameters are taken as they are.
    __hash__ = None  # type: ignore[assignment]


def _subscript(form: Any, parameters: tuple[Any, ...]) -> Any:
    made = form[parameters]
    same = all(got is wanted for got, wanted in zip(get_args(made), parameters, strict=False))
    return made if same else form[_FreshTuple(parameters)]


class TypeDecoder:
    """Rebuilds one encoded annotation and the models and enumerations in it."""

    def __init__(self, encoded: Mapping[str, Any], supplied: Mapping[str, type], where: str) -> None:
        """Look at the outermost object.

        Args:
            encoded: What the encoder wrote.
            supplied: Classes that take the place of definitions, by name.
            where: What the annotation belongs to, for messages.

        Raises:
            ArtifactError: If it is no object, or has too many definitions.
        """
        self._where = where
        self._body = self._object(encoded, "")
        self._definitions = self._object(self._body.pop("$defs", {}), "$defs")
        if len(self._definitions) > _MAX_DEFINITIONS:
            raise self._error("$defs", "too many definitions", expected=f"at most {_MAX_DEFINITIONS}")
        self._shared = SharedClasses(self._definitions, supplied)
        self.classes: dict[str, type] = {}
        """The models and enumerations that were built or supplied, by name."""
        self._placeholders: dict[str, str] = {}
        self._parts = 0

    def annotation(self) -> Any:
        """Rebuild the annotation.

        Returns:
            The type.

        Raises:
            ArtifactError: If the encoded form is malformed.
        """
        with BUILDING:
            rebuilt = self._annotation(self._body, "", 0)
            by_placeholder = {self._placeholders[name]: self.classes[name] for name in self._placeholders}
            for cls in self.classes.values():
                if issubclass(cls, pydantic.BaseModel):
                    cls.model_rebuild(_types_namespace=by_placeholder)
            self._shared.keep(self.classes)
            return rebuilt

    def _error(self, site: str, problem: str, *, expected: str = "", found: object = "") -> ArtifactError:
        place = f"{self._where} (at {site.lstrip('.')})" if site.lstrip(".") else self._where
        return ArtifactError(
            f"{place}: {problem}", expected=expected, found=shorten(repr(found)) if found != "" else ""
        )

    def _object(self, value: Any, site: str) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self._error(site, "not a JSON object", expected="an object with text keys", found=value)
        return dict(value)

    def _array(self, value: Any, site: str) -> list[Any]:
        if not isinstance(value, list):
            raise self._error(site, "not a JSON array", expected="an array", found=value)
        return value

    def _no_more(self, rest: Mapping[str, Any], site: str) -> None:
        if rest:
            raise self._error(site, "unknown keys", found=", ".join(sorted(rest)))

    def _annotation(self, encoded: Any, site: str, depth: int) -> Any:
        self._parts += 1
        if depth > MAX_DEPTH or self._parts > _MAX_PARTS:
            raise self._error(
                site[:100],
                "the type is too large",
                expected=f"at most {MAX_DEPTH} levels and {_MAX_PARTS} parts",
            )
        rest = self._object(encoded, site)
        layers = self._array(rest.pop("allOf", []), f"{site}.allOf")
        rebuilt = self._bare(rest, site, depth)
        self._no_more(rest, site)
        metadata = [self._layer(layer, f"{site}.allOf[{at}]") for at, layer in enumerate(layers)]
        return _subscript(Annotated, (rebuilt, *metadata)) if metadata else rebuilt

    def _bare(self, rest: dict[str, Any], site: str, depth: int) -> Any:
        if "$ref" in rest:
            return self._reference(rest.pop("$ref"), site, depth)
        if "anyOf" in rest:
            choices = self._array(rest.pop("anyOf"), site)
            parts = [self._annotation(choice, f"{site}.anyOf[{at}]", depth + 1) for at, choice in enumerate(choices)]
            if len(parts) < 2:
                raise self._error(site, "a union needs two members", found=choices)
            return _subscript(Union, tuple(parts))
        if "enum" in rest:
            members = self._array(rest.pop("enum"), site)
            if not members or not all(member is None or type(member) in (str, int, bool) for member in members):
                raise self._error(site, "not a Literal", expected="text, integers, booleans or null", found=members)
            return Literal[tuple(members)]
        return self._by_type(rest, site, depth)

    def _by_type(self, rest: dict[str, Any], site: str, depth: int) -> Any:
        form = {key: rest.pop(key) for key in ("type", "format", "const", "python", "uniqueItems") if key in rest}
        # Compared as JSON, since 1 equals True.
        form_as_json = json.dumps(form)
        forms = (*SCALARS, *BARE)
        kind: Any = next((kind for kind, known in forms if json.dumps(known) == form_as_json), ...)
        if kind is ...:
            raise self._error(site, "unknown type", expected="a documented form", found=form)
        items = f"{site}.items"
        if kind in (list, set) and "items" in rest:
            return kind[self._annotation(rest.pop("items"), items, depth + 1)]
        if kind is tuple and "items" in rest:
            if rest["items"] is not False:
                return kind[self._annotation(rest.pop("items"), items, depth + 1), ...]
            del rest["items"]
            parts = self._array(rest.pop("prefixItems", []), site)
            return kind[tuple(self._annotation(part, items, depth + 1) for part in parts)]
        if kind is dict and "additionalProperties" in rest:
            key = self._annotation(rest.pop("propertyNames", {"type": "string"}), f"{site}.keys", depth + 1)
            return kind[key, self._annotation(rest.pop("additionalProperties"), items, depth + 1)]
        return kind

    def _layer(self, encoded: Any, site: str) -> Any:
        rest = self._object(encoded, site)
        python = rest.pop("python", None)
        arguments = keyword_arguments(rest, CONSTRAINT_NAMES, where=self._where)
        if python is None:
            arguments |= keyword_arguments(rest, NOTES, where=self._where)
        self._no_more(rest, site)
        if python is not None and python not in PYTHON_NAMES:
            raise self._error(site, "unknown constraint", expected=", ".join(PYTHON_NAMES), found=python)
        make: Any = pydantic.Field if python is None else PYTHON_NAMES[python]
        return make(**{name: self._value(value, site) for name, value in arguments.items()})

    def _value(self, encoded: Any, site: str) -> Any:
        def member(of: Mapping[str, Any]) -> enum.Enum:
            rest = dict(of)
            # Only an enumeration has no parts of its own, and may be met here without counting depth.
            target = str(rest["$ref"]).removeprefix(REFERENCE)
            if "names" not in self._object(self._definitions.get(target, {}), f"$defs.{target}"):
                raise self._error(site, "no such enumeration", found=of)
            cls: type[enum.Enum] = self._reference(rest.pop("$ref"), site, 0)
            name = rest.pop("member", None)
            self._no_more(rest, site)
            if not issubclass(cls, enum.Enum) or name not in cls.__members__:
                raise self._error(site, "no such member of an enumeration", found=of)
            return cls[name]

        return decode_value(encoded, member, where=f"{self._where} (at {site.lstrip('.')})")

    def _reference(self, target: Any, site: str, depth: int) -> Any:
        name = target.removeprefix(REFERENCE) if isinstance(target, str) else ""
        if not name or target != REFERENCE + name or name not in self._definitions:
            raise self._error(site, "the reference leads nowhere", expected="#/$defs/ and a name there", found=target)
        if name in self.classes:
            return self.classes[name]
        if name in self._placeholders:
            # pydantic evaluates forward references, so their names are made here and not taken from the file.
            return ForwardRef(self._placeholders[name])
        if not usable_name(name):
            raise self._error("$defs", "not a usable class name", expected="an identifier", found=name)
        if shared := self._shared.find(name):
            self.classes |= shared
            return shared[name]
        inner = f"$defs.{name}"
        definition = self._object(self._definitions[name], inner)
        if "names" in definition:
            self.classes[name] = self._enumeration(name, definition, inner)
        else:
            self._placeholders[name] = f"Definition{len(self._placeholders)}"
            self.classes[name] = self._model(name, definition, inner, depth)
        return self.classes[name]

    def _enumeration(self, name: str, rest: dict[str, Any], site: str) -> type:
        base, doc = rest.pop("python", None), rest.pop("description", None)
        names, values = self._array(rest.pop("names"), site), self._array(rest.pop("enum", None), site)
        aliases = self._object(rest.pop("aliases", {}), site)
        self._no_more(rest, site)
        if base not in ENUM_BASES or len(names) != len(values) or not all(map(usable_member_name, [*names, *aliases])):
            raise self._error(site, "not an enumeration", expected="as many plain names as values", found=names)
        decoded = dict(zip(names, (self._value(value, site) for value in values), strict=True))
        if len(decoded) != len(names) or not all(isinstance(of, str) and of in decoded for of in aliases.values()):
            raise self._error(site, "names or aliases do not fit the members", found=aliases or names)
        members = [*decoded.items(), *((alias, decoded[of]) for alias, of in aliases.items())]
        # Seen as any callable: type checkers want enumerations spelled out.
        make: Any = {"StrEnum": enum.StrEnum, "IntEnum": enum.IntEnum}.get(base, enum.Enum)
        mixin = {"str, Enum": str, "int, Enum": int}.get(base)
        cls: type = make(name, members, module=__name__, **({"type": mixin} if mixin else {}))
        cls.__doc__ = _as_docstring(doc)
        return cls

    def _model(self, name: str, rest: dict[str, Any], site: str, depth: int) -> type:
        doc, kind = rest.pop("description", None), rest.pop("type", None)
        settings = self._object(rest.pop("config", {}), f"{site}.config")
        properties = self._object(rest.pop("properties", None), f"{site}.properties")
        order = self._array(rest.pop("order", None), site)
        required = self._array(rest.pop("required", None), site)
        self._no_more(rest, site)
        if kind != "object" or not isinstance(doc, str | None):
            raise self._error(site, "not a model", expected="type object", found=kind)
        if sorted(map(repr, order)) != sorted(map(repr, properties)) or not all(map(usable_name, order)):
            raise self._error(site, "order does not name the properties", expected="plain identifiers", found=order)
        if unknown := settings.keys() - CONFIG:
            raise self._error(site, "unknown settings", found=", ".join(sorted(unknown)))
        config: Any = {key: self._value(value, f"{site}.config") for key, value in settings.items()}
        fields: dict[str, Any] = {}
        for field in order:
            at = f"{site}.properties.{field}"
            entry = self._object(properties[field], at)
            if (field in required) is ("default" in entry or "default_factory" in entry):
                raise self._error(at, "a field has a default or is required, one of the two")
            fields[field] = self._field(entry, at, depth)
        doc = _as_docstring(doc)
        model: type = pydantic.create_model(name, __config__=config, __doc__=doc, __module__=__name__, **fields)
        return model

    def _field(self, entry: dict[str, Any], site: str, depth: int) -> tuple[Any, Any]:
        names = {**CONSTRAINT_NAMES, **NOTES, **ATTRIBUTES, "default": "default"}
        arguments = keyword_arguments(entry, names, where=self._where)
        factory = entry.pop("default_factory", None)
        annotation = self._annotation(entry, site, depth + 1)
        keywords = {name: self._value(value, site) for name, value in arguments.items()}
        if factory is not None:
            if factory not in FACTORIES:
                raise self._error(site, "unknown default_factory", expected=" or ".join(FACTORIES), found=factory)
            keywords["default_factory"] = FACTORIES[factory]
        return annotation, pydantic.Field(**keywords)


def _as_docstring(text: str | None) -> str | None:
    # A line break before the first line keeps its indentation, and keeps an empty docstring from being none.
    return text if text is None or (text and inspect.cleandoc(text) == text) else f"\n{text}"
