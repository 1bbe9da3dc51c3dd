"""What a pool offers: fragments, demonstration sets and families."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from fusionprog._internal.registry import Registry, did_you_mean
from fusionprog.errors import PoolError
from fusionprog.program.signature import SignatureType

Facet = Literal["role", "instruction", "pattern", "hint", "constraint", "demos"]
FACETS: tuple[Facet, ...] = get_args(Facet)
TEXT_FACETS: tuple[Facet, ...] = FACETS[:-1]

Demo: TypeAlias = Mapping[str, Any]
Content: TypeAlias = str | tuple[Demo, ...]

_ID = re.compile(r"[\w][\w.@/+-]*")
_FIELD_HEADER = re.compile(r"\[\[\s*##.*?##\s*\]\]")


class Item(ABC):
    """One thing a pool offers: one effect in the schedule, and a text or demonstrations for a node and a task.

    Attributes:
        id: Unique in a pool; what is learned about the item is kept under it.
        facet: What the item is for.
        domains: The domains it is offered in; all if empty.
        nodes: The nodes it is offered to; all if empty.
        pinned: Whether it is in every prompt that it is offered to, whatever the search thinks of it.
        requires: Items without which this one stays out.
        conflicts: Items beside which this one stays out, if they weigh more.
    """

    id: str
    facet: Facet
    domains: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    pinned: bool = False
    requires: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()

    @property
    @abstractmethod
    def key_text(self) -> str:
        """What the item says or is about, for its embedding."""

    def offered(self, node: str, domain: str) -> bool:
        """Whether the item may be used at a node in a domain."""
        return (not self.nodes or node in self.nodes) and (not self.domains or domain in self.domains)


def check_id(item_id: Any) -> str:
    """Returns the id if it is usable.

    Raises:
        PoolError: if not.
    """
    if not isinstance(item_id, str) or not _ID.fullmatch(item_id):
        raise PoolError(f"{item_id!r} is no item id", expected="letters, digits and any of _ . @ / + - (no spaces)")
    return item_id


class Fragment(Item):
    """A piece of prompt text. It is data: never code, never a template.

    Args:
        id: Unique in the pool.
        text: The text, in every domain.
        facet: ``role``, ``instruction``, ``pattern``, ``hint`` or ``constraint``.
        texts: The text by domain, in place of ``text``; the fragment is then offered in these domains.
        domains: Domains it is offered in (with ``text``); all if empty.
        nodes: Nodes it is offered to; all if empty.
        pinned: In every prompt, whatever the search thinks of it.
        requires: Ids of items without which it stays out.
        conflicts: Ids of items beside which it stays out, if they weigh more.

    Raises:
        PoolError: if the id, facet or text is not usable.
    """

    def __init__(
        self,
        id: str,
        text: str | None = None,
        *,
        facet: Facet,
        texts: Mapping[str, str] | None = None,
        domains: Sequence[str] = (),
        nodes: Sequence[str] = (),
        pinned: bool = False,
        requires: Sequence[str] = (),
        conflicts: Sequence[str] = (),
    ) -> None:
        self.id = check_id(id)
        if facet not in FACETS:
            raise PoolError(f"fragment {id!r} has an unknown facet {facet!r}", fix=did_you_mean(str(facet), FACETS))
        if facet == "demos":
            raise PoolError(f"fragment {id!r} has the facet 'demos'", fix="Use fusionprog.DemoSet for demonstrations")
        if (text is None) == (not texts):
            raise PoolError(f"fragment {id!r} needs a text", expected="either text= or texts= by domain")
        if texts and domains:
            raise PoolError(f"fragment {id!r} has texts and domains", fix="Leave domains out; texts names them")
        self.facet = facet
        self.text = None if text is None else check_text(text, f"fragment {id!r}")
        self.texts = _texts(texts or {}, f"fragment {id!r}")
        self.domains = tuple(self.texts) or _names(domains, id, "domains")
        self.nodes = _names(nodes, id, "nodes")
        self.pinned = _flag(pinned, id)
        self.requires = _names(requires, id, "requires")
        self.conflicts = _names(conflicts, id, "conflicts")

    def text_in(self, domain: str) -> str:
        """Returns the text in a domain that the fragment is offered in."""
        return self.texts[domain] if self.text is None else self.text

    @property
    def key_text(self) -> str:
        """Id and texts."""
        return " ".join([self.id, self.text or "", *self.texts.values()])


class DemoSet(Item):
    """Demonstrations for one node: rows of its input and output fields.

    Args:
        id: Unique in the pool.
        demos: Rows ``{field: value}`` with at least one input and one output field of the node; reasoning and
            other fields may be left out. The first ones are used first.
        node: The node they are for.
        domains: Domains they are offered in; all if empty.
        pinned: In every prompt of the node.

    Raises:
        PoolError: if the id or node is not usable or there are no demonstrations.
    """

    facet: Facet = "demos"

    def __init__(
        self, id: str, demos: Sequence[Demo], *, node: str, domains: Sequence[str] = (), pinned: bool = False
    ) -> None:
        self.id = check_id(id)
        if not isinstance(demos, Sequence) or not all(_is_row(demo) for demo in demos):
            raise PoolError(
                f"demonstration set {id!r} holds no rows", expected="a list of {field: value}", found=repr(demos)[:80]
            )
        if not demos:
            raise PoolError(f"demonstration set {id!r} is empty", fix="Give it at least one demonstration")
        if not isinstance(node, str):
            raise PoolError(f"demonstration set {id!r} needs one node", expected="its name", found=repr(node))
        self.demos: tuple[Demo, ...] = tuple(dict(demo) for demo in demos)
        self.nodes = (node,)
        self.domains = _names(domains, id, "domains")
        self.pinned = _flag(pinned, id)

    @property
    def key_text(self) -> str:
        """Id and values."""
        return " ".join([self.id, *(str(value) for demo in self.demos for value in demo.values())])


@dataclass(frozen=True)
class BuildContext:
    """What a family may make its text or demonstrations from, for one node in one task.

    Attributes:
        signature: The signature that the node asks its model in this task.
        rows: Rows of the task's training split as ``{field: value}`` of the node; only fields that a column
            tells are there.
        traces: The node's full inputs and outputs in runs of the program as written that the metric found right;
            empty unless a family ``needs_traces``.
        seed: For drawing.
    """

    node: str
    task: str
    signature: SignatureType
    rows: tuple[Demo, ...]
    traces: tuple[Demo, ...]
    seed: int


class Family(Item):
    """An item whose text differs per task: a builder makes it from each task's training data.

    What is learned about a family holds in a new domain, where the builder makes the new text.

    Attributes:
        kind: The name it is registered under.
        needs_traces: Whether it uses ``BuildContext.traces``, which cost calls.
        reveals_rows: Whether what it makes holds whole rows; it is then not offered in private tasks.
    """

    kind: ClassVar[str]
    needs_traces: ClassVar[bool] = False
    reveals_rows: ClassVar[bool] = False

    def __init__(self, *, id: str | None = None, nodes: Sequence[str] = (), pinned: bool = False) -> None:
        """Sets what families share.

        Args:
            id: The item's id; made of the kind and its arguments, if not given.
            nodes: Nodes it is offered to; all if empty.
            pinned: In every prompt, whatever the search thinks of it.
        """
        self.id = check_id(id or "-".join([self.kind, *(str(value) for value in self.arguments().values())]))
        self.nodes = _names(nodes, self.id, "nodes")
        self.pinned = _flag(pinned, self.id)

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Returns the builder's own arguments as JSON data, in the constructor's order."""

    @abstractmethod
    def build(self, context: BuildContext) -> Content | None:
        """Returns the family's text or demonstrations, or ``None`` where it has nothing to offer."""

    @property
    def key_text(self) -> str:
        """Kind, and the first line of the builder's docstring."""
        about = (type(self).__doc__ or "").strip().partition("\n")[0]
        return f"{self.kind} {about}"


family_registry: Registry[type[Family]] = Registry("family", PoolError)


def register_family(kind: str) -> Any:
    """Returns a class decorator that enters a family under ``kind``."""

    def enter(cls: type[Family]) -> type[Family]:
        cls.kind = kind
        return family_registry.register(kind)(cls)

    return enter


def check_text(text: Any, what: str) -> str:
    """Returns the text without white space around it, if a prompt may hold it.

    Args:
        text: The text.
        what: What it belongs to (``"fragment 'short'"``), for messages.

    Raises:
        PoolError: if it is empty or edits field names.
    """
    if not isinstance(text, str) or not text.strip():
        raise PoolError(f"{what} has no text", expected="some text", found=repr(text))
    if header := _FIELD_HEADER.search(text):
        raise PoolError(
            f"{what} changes a field name or a format rule",
            found=header.group(),
            fix="Leave field headers to the signature; no fragment may edit them",
        )
    return text.strip()


def check_count(value: Any, what: str) -> int:
    """Returns the number if it is a whole one of at least 1.

    Raises:
        PoolError: if not.
    """
    if type(value) is not int or value < 1:
        raise PoolError(f"{what} is not usable", expected="a whole number of at least 1", found=repr(value))
    return value


def _texts(texts: Any, what: str) -> dict[str, str]:
    if not isinstance(texts, Mapping) or not all(isinstance(domain, str) for domain in texts):
        raise PoolError(f"the texts of {what} are not by domain", expected="{domain: text}", found=repr(texts)[:80])
    return {domain: check_text(text, f"{what}, domain {domain!r},") for domain, text in texts.items()}


def _is_row(demo: Any) -> bool:
    return isinstance(demo, Mapping) and all(isinstance(name, str) for name in demo)


def _flag(pinned: Any, item_id: str) -> bool:
    if not isinstance(pinned, bool):
        raise PoolError(f"pinned of {item_id!r} is neither true nor false", found=repr(pinned))
    return pinned


def _names(names: Any, item_id: str, what: str) -> tuple[str, ...]:
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not listed or not all(isinstance(name, str) for name in names):
        raise PoolError(f"{what} of {item_id!r} is no list of names", found=repr(names), fix=f"Write {what}=[...]")
    return tuple(names)
