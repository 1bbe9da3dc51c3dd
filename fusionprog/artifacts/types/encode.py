"""From Python types to the JSON that `fusionprog.artifacts.types` documents."""

from __future__ import annotations

import enum
import inspect
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import pydantic
from pydantic.fields import FieldInfo

from fusionprog.artifacts.types.forms import (
    BARE,
    CONFIG,
    CONFIG_WITHOUT_TRACE,
    SCALARS,
    usable_member_name,
    usable_name,
)
from fusionprog.artifacts.types.metadata import (
    CONSTRAINT_NAMES,
    FACTORIES,
    FUNCTIONS,
    PYTHON_NAMES,
    constraints_of,
    field_takes,
    notes_of,
    write_constraints,
)
from fusionprog.artifacts.types.values import MAX_DEPTH, encode_value, shorten
from fusionprog.errors import ProgramError

_SUPPORTED: Final = (
    "str, int, float, bool, None, Any, Literal, Enum, date, datetime, time, Decimal, list, dict, tuple, set, "
    "unions of these, or a pydantic model of them"
)


class TypeEncoder:
    """Writes one annotation and the models and enumerations in it."""

    def __init__(self, where: str) -> None:
        """Start without definitions.

        Args:
            where: What the annotation belongs to, for messages.
        """
        self._where = where
        self._definitions: dict[str, dict[str, Any]] = {}
        self.classes: dict[str, type] = {}
        """The models and enumerations that were met, by name."""

    def document(self, annotation: Any) -> dict[str, Any]:
        """Write the annotation.

        Args:
            annotation: The annotation.

        Returns:
            Its description, with the models and enumerations under ``$defs``.

        Raises:
            ProgramError: If it holds something that cannot be written.
        """
        described = self._annotation(annotation, "", 0)
        if self._definitions:
            described["$defs"] = {name: self._definitions[name] for name in sorted(self._definitions)}
        return described

    def _place(self, site: str) -> str:
        return f"{self._where} (in {site})" if site else self._where

    def _refuse(self, annotation: Any, site: str, *, fix: str = "") -> ProgramError:
        name = f"{annotation.__module__}.{annotation.__qualname__}" if inspect.isclass(annotation) else repr(annotation)
        return ProgramError(
            f"{self._place(site)}: a saved program cannot hold this type",
            expected=_SUPPORTED,
            found=shorten(name),
            fix=fix or "Use one of the supported types, or a pydantic model of them",
        )

    def _annotation(self, annotation: Any, site: str, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise ProgramError(
                f"{self._where}: the type nests too deeply",
                expected=f"at most {MAX_DEPTH} levels",
                fix="Flatten the type or its models",
            )
        for kind, form in (*SCALARS, *BARE):
            if annotation is kind:
                return dict(form)
        origin, parts = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._annotated(annotation, site, depth)
        if origin is Literal:
            for member in parts:
                if member is not None and type(member) not in (str, int, bool):
                    raise self._refuse(annotation, site, fix="Use str, int or bool members, or the Enum itself")
            return {"enum": [self._value(member, site) for member in parts]}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self._annotation(part, site, depth + 1) for part in parts]}
        if origin is tuple and annotation is not typing.Tuple:  # noqa: UP006 (the bare alias itself)
            return self._tuple(parts, site, depth)
        if origin in (list, set) and parts:
            form = next(form for kind, form in BARE if kind is origin)
            return {**form, "items": self._annotation(parts[0], site, depth + 1)}
        if origin is dict and parts:
            return self._dictionary(annotation, site, depth)
        if inspect.isclass(annotation) and issubclass(annotation, (enum.Enum, pydantic.BaseModel)):
            return self._definition(annotation, site, depth)
        raise self._refuse(annotation, site)

    def _annotated(self, annotation: Any, site: str, depth: int) -> dict[str, Any]:
        bare, *metadata = get_args(annotation)
        described = self._annotation(bare, site, depth)
        layers = []
        for item in metadata:
            if isinstance(item, FUNCTIONS):
                # pydantic takes the outermost metadata off a signature's field; below that DSPy prints it, and
                # a function prints as its address.
                if depth and not site:
                    raise self._refuse(
                        annotation,
                        site,
                        fix="Put the validator on a field of a pydantic model; prompts show it here",
                    )
                continue
            layers.append(self._layer(item, described, site))
        return {**described, "allOf": layers} if layers else described

    def _layer(self, item: Any, described: Mapping[str, Any], site: str) -> dict[str, Any]:
        if type(item) is FieldInfo:
            constraints: dict[str, Any] = {}
            for inner in item.metadata:
                constraints |= constraints_of(inner) or {}
            notes = self._notes(notes_of(item, where=self._place(site), of_model=False), site)
            return {**self._constraints(constraints, described, site), **notes}
        demanded = constraints_of(item)
        if demanded is None:
            raise self._refuse(Annotated[Any, item], site, fix="Use pydantic's Field(...) constraints")
        layer = self._constraints(demanded, described, site)
        return {"python": type(item).__name__, **layer} if type(item) in PYTHON_NAMES.values() else layer

    def _constraints(self, constraints: Mapping[str, Any], described: Mapping[str, Any], site: str) -> dict[str, Any]:
        return write_constraints(
            constraints, described, lambda value: self._value(value, site), where=self._place(site)
        )

    def _notes(self, notes: Mapping[str, Any], site: str) -> dict[str, Any]:
        return {key: self._value(value, site) for key, value in notes.items()}

    def _value(self, value: Any, site: str) -> Any:
        def member(of: enum.Enum) -> dict[str, Any]:
            return {**self._definition(type(of), site, 0), "member": of.name}

        return encode_value(value, member, where=self._place(site))

    def _tuple(self, parts: tuple[Any, ...], site: str, depth: int) -> dict[str, Any]:
        described: dict[str, Any] = {"type": "array", "python": "tuple"}
        if len(parts) == 2 and parts[1] is Ellipsis:
            return {**described, "items": self._annotation(parts[0], site, depth + 1)}
        if parts:
            described["prefixItems"] = [self._annotation(part, site, depth + 1) for part in parts]
        return {**described, "items": False}

    def _dictionary(self, annotation: Any, site: str, depth: int) -> dict[str, Any]:
        key, value = get_args(annotation)
        names = self._annotation(key, site, depth + 1)
        definition = self._definitions.get(names["$ref"].rpartition("/")[2], {}) if "$ref" in names else names
        choices = definition.get("enum", [])
        if definition.get("type") not in ("string", "integer") and not (choices and {*map(type, choices)} == {str}):
            raise self._refuse(annotation, site, fix="Use keys that JSON has: str, or a Literal or Enum of str")
        described: dict[str, Any] = {"type": "object"}
        if names != {"type": "string"}:
            described["propertyNames"] = names
        return {**described, "additionalProperties": self._annotation(value, site, depth + 1)}

    def _definition(self, cls: type, site: str, depth: int) -> dict[str, Any]:
        name = cls.__name__
        if self.classes.get(name, cls) is not cls:
            raise self._refuse(cls, site, fix=f"Another type in it is named {name} too; rename one of the two")
        if not usable_name(name):
            raise self._refuse(cls, site, fix="Give the class a plain name (a generic model: subclass Box[int])")
        if name not in self.classes:
            self.classes[name] = cls
            if issubclass(cls, enum.Enum):
                self._definitions[name] = self._enumeration(cls, site)
            elif issubclass(cls, pydantic.BaseModel):
                self._definitions[name] = self._model(cls, site, depth)
        return {"$ref": f"#/$defs/{name}"}

    def _enumeration(self, cls: type[enum.Enum], site: str) -> dict[str, Any]:
        mixin: Any = getattr(cls, "_member_type_")  # noqa: B009 (type checkers do not know it)
        base = {str: "str, Enum", int: "int, Enum", object: "Enum"}.get(mixin, "")
        if issubclass(cls, enum.ReprEnum):
            base = {str: "StrEnum", int: "IntEnum"}.get(mixin, "")
        values = [member.value for member in cls]
        if not base or issubclass(cls, enum.Flag) or {*map(type, values)} - {str, int, float, bool}:
            raise self._refuse(cls, site, fix="Use an Enum whose values are str, int, float or bool")
        if not values or not all(usable_member_name(name) for name in cls.__members__):
            raise self._refuse(cls, site, fix="Give the Enum members, with plain names")
        described: dict[str, Any] = {"python": base}
        if cls.__doc__:
            described["description"] = inspect.cleandoc(cls.__doc__)
        described["enum"] = [self._value(value, site) for value in values]
        described["names"] = [member.name for member in cls]
        aliases = {name: cls[name].name for name in sorted(cls.__members__) if cls[name].name != name}
        return {**described, "aliases": aliases} if aliases else described

    def _model(self, cls: type[pydantic.BaseModel], site: str, depth: int) -> dict[str, Any]:
        own = [base for base in cls.__mro__ if base not in pydantic.BaseModel.__mro__]
        if issubclass(cls, pydantic.RootModel):
            raise self._refuse(cls, site, fix="Use the type of its root itself")
        if any(base.__module__.partition(".")[0] == "dspy" for base in own):
            raise self._refuse(cls, site)
        hooks = ("__get_pydantic_core_schema__", "__get_pydantic_json_schema__")
        if any(hook in vars(base) for base in own for hook in hooks):
            raise self._refuse(cls, site, fix="Use a pydantic model that does not write its own schema")
        try:
            cls.model_rebuild()
        except pydantic.errors.PydanticUndefinedAnnotation as error:
            raise self._refuse(cls, site, fix=f"Define {error.name} and call {cls.__name__}.model_rebuild()") from error
        described: dict[str, Any] = {"type": "object"}
        if cls.__doc__:
            described["description"] = inspect.cleandoc(cls.__doc__)
        settings = {name: value for name, value in cls.model_config.items() if name not in CONFIG_WITHOUT_TRACE}
        for name in sorted(settings):
            if name not in CONFIG:
                raise self._refuse(cls, site, fix=f"Take {name!r} out of its model_config")
        if settings:
            described["config"] = {name: self._value(settings[name], cls.__name__) for name in sorted(settings)}
        fields = cls.model_fields
        described["properties"] = {name: self._field(cls, name, fields[name], depth) for name in fields}
        described["required"] = [name for name, field in fields.items() if field.is_required()]
        described["order"] = list(fields)
        return described

    def _field(self, cls: type, name: str, field: FieldInfo, depth: int) -> dict[str, Any]:
        site = f"{cls.__name__}.{name}"
        if not usable_name(name):
            raise ProgramError(f"{self._place(site)}: the field needs another name", found=repr(name))
        described = self._annotation(field.annotation, site, depth + 1)
        entry: dict[str, Any] = {}
        layers: list[dict[str, Any]] = described.pop("allOf", [])
        for item in field.metadata:
            if isinstance(item, FUNCTIONS):
                continue
            constraints = constraints_of(item)
            if not layers and constraints is not None and field_takes(constraints):
                written = self._constraints(constraints, described, site)
                if not entry.keys() & written.keys():
                    entry.update(written)
                    continue
            # What Field cannot say, or says already, and all that comes after it, so that the order stays.
            layers.append(self._layer(item, described, site))
        # In one order, whatever order the constraints were given in.
        entry = {key: entry[key] for key in CONSTRAINT_NAMES if key in entry}
        entry.update(self._notes(notes_of(field, where=self._place(site), of_model=True), site))
        if field.default_factory is not None:
            factory = next((key for key, kind in FACTORIES.items() if field.default_factory is kind), None)
            if factory is None:
                raise ProgramError(
                    f"{self._place(site)}: a saved program cannot hold this default_factory",
                    expected=" or ".join(FACTORIES),
                    found=shorten(repr(field.default_factory)),
                    fix="Use one of these, or a default",
                )
            entry["default_factory"] = factory
        elif not field.is_required():
            entry["default"] = self._value(field.default, site)
        return {**described, **({"allOf": layers} if layers else {}), **entry}
