"""The pool to and from the artifact."""

from __future__ import annotations

from collections.abc import Sequence

from fusionprog._internal.canonical import jsonable
from fusionprog.artifacts.schema import DemoSetSpec, FamilySpec, FragmentSpec, ItemSpec
from fusionprog.artifacts.text import from_lines, to_lines
from fusionprog.artifacts.values import encode_demo
from fusionprog.errors import ArtifactError, PoolError
from fusionprog.prompts.items import DemoSet, Family, Fragment, Item, check_id
from fusionprog.prompts.pool import PromptPool


class RecordedFamily(Item):
    """A family of a loaded artifact: its kind and arguments, without the builder that made its texts.

    A loaded program runs on the texts that were made; the builder may be the user's own code.

    Attributes:
        spec: What the artifact says of it.
    """

    def __init__(self, spec: FamilySpec) -> None:
        self.spec = spec
        self.id = check_id(spec.id)
        self.facet = spec.facet
        self.nodes = tuple(spec.nodes)
        self.pinned = spec.pinned

    @property
    def key_text(self) -> str:
        """Its kind."""
        return self.spec.family


def encode_pool(items: Sequence[Item]) -> list[ItemSpec]:
    """Returns the items as the artifact holds them.

    Raises:
        ArtifactError: if one is of a kind that only its author's code knows.
    """
    return [_item_spec(item) for item in items]


def decode_pool(specs: Sequence[ItemSpec]) -> PromptPool:
    """Returns the pool of an artifact.

    Raises:
        ArtifactError: if an entry is not sound or an id occurs twice.
    """
    try:
        return PromptPool(_item(spec) for spec in specs)
    except PoolError as error:
        raise ArtifactError("the pool is not sound", found=str(error).rstrip(".")) from error


def _item_spec(item: Item) -> ItemSpec:
    if isinstance(item, RecordedFamily):
        return item.spec
    if isinstance(item, Family):
        return FamilySpec(
            kind="family",
            id=item.id,
            family=item.kind,
            arguments=jsonable(item.arguments()),
            facet=item.facet,
            nodes=list(item.nodes),
            pinned=item.pinned,
        )
    if isinstance(item, DemoSet):
        return DemoSetSpec(
            kind="demos",
            id=item.id,
            node=item.nodes[0],
            demos=[encode_demo(demo) for demo in item.demos],
            domains=list(item.domains),
            pinned=item.pinned,
        )
    if isinstance(item, Fragment):
        return FragmentSpec(
            kind="fragment",
            id=item.id,
            facet=item.facet,
            text=None if item.text is None else to_lines(item.text),
            texts={domain: to_lines(text) for domain, text in item.texts.items()},
            domains=[] if item.texts else list(item.domains),
            nodes=list(item.nodes),
            requires=list(item.requires),
            conflicts=list(item.conflicts),
            pinned=item.pinned,
        )
    raise ArtifactError(
        f"the item {item.id!r} cannot be kept in a file",
        expected="a Fragment, a DemoSet or a Family",
        found=type(item).__name__,
    )


def _item(spec: ItemSpec) -> Item:
    if isinstance(spec, FamilySpec):
        return RecordedFamily(spec)
    if isinstance(spec, DemoSetSpec):
        return DemoSet(spec.id, spec.demos, node=spec.node, domains=spec.domains, pinned=spec.pinned)
    return Fragment(
        spec.id,
        None if spec.text is None else from_lines(spec.text),
        facet=spec.facet,
        texts={domain: from_lines(lines) for domain, lines in spec.texts.items()} or None,
        domains=spec.domains,
        nodes=spec.nodes,
        pinned=spec.pinned,
        requires=spec.requires,
        conflicts=spec.conflicts,
    )
