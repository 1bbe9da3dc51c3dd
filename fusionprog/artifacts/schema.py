"""What an artifact holds, as pydantic models; the published JSON Schema is made from them.

Texts come first and one line an element; numbers that a new compile moves come last, rounded.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from fusionprog.artifacts.lineage_schema import LineageSpec
from fusionprog.prompts.items import Facet
from fusionprog.prompts.schedule import Format
from fusionprog.runtime.record import Rung

SCHEMA_VERSION = 1
"""Raised whenever the file's meaning changes; ``migrations`` then gets a step."""
SCHEMA_NAME = "fusionprog-artifact-1.json"

Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Numbers = Annotated[list[Number], Field(fail_fast=True)]
Names = Annotated[list[str], Field(fail_fast=True)]
Text = Annotated[list[str], Field(description="one line an element", fail_fast=True)]
TypeSpec = dict[str, JsonValue]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DefaultSpec(_Strict):
    """A value that is used where none is given."""

    value: JsonValue
    typed: Annotated[bool, Field(description="whether it is read as the field's type (a date from its text)")] = False


class FieldSpec(_Strict):
    """A field of a signature."""

    name: str
    type: TypeSpec
    description: Text = []
    constraints: str = ""
    default: DefaultSpec | None = None


Fields = Annotated[list[FieldSpec], Field(fail_fast=True, max_length=1_000)]


class SignatureSpec(_Strict):
    """A signature."""

    name: str
    instructions: Text
    inputs: Fields
    outputs: Fields


class ModuleSpec(_Strict):
    """A module by its registered name and arguments; it has a signature, or is made of other modules."""

    name: str
    arguments: dict[str, JsonValue] = {}
    signature: SignatureSpec | None = None
    modules: Annotated[list[ModuleSpec], Field(fail_fast=True, max_length=100)] = []


class SharedModuleSpec(_Strict):
    """The module of an earlier node."""

    same_as: str


class InputSource(_Strict):
    """An input of the program."""

    input: str


class FieldSource(_Strict):
    """A field that another node makes, ``node.field``."""

    field: str


class ConstantSource(_Strict):
    """A value that is the same in every call, and those that may be chosen in its place; read as the field's type."""

    constant: JsonValue
    others: Annotated[list[JsonValue], Field(fail_fast=True, max_length=99)] = []


class WhenSource(_Strict):
    """One of two sources, chosen in every call by a truth value."""

    when: InputSource | FieldSource | WhenSource
    then: SourceSpec
    otherwise: SourceSpec


SourceSpec = InputSource | FieldSource | ConstantSource | WhenSource
OutputSpec = str | WhenSource
Outputs = Annotated[
    dict[str, OutputSpec], Field(min_length=1, description="an input's name, node.field, or one of two sources")
]


class NodeSpec(_Strict):
    """A node."""

    name: str
    module: ModuleSpec | SharedModuleSpec
    sources: dict[str, SourceSpec]
    called_by: Annotated[str | None, Field(description="the node whose code calls this one")] = None
    calls: Annotated[int, Field(ge=1, description="how often at most for one call of the program")] = 1


class InputSpec(_Strict):
    """An input of the program."""

    name: str
    type: TypeSpec | None = None
    default: DefaultSpec | None = None


class ProgramSpec(_Strict):
    """The program's graph."""

    name: str
    inputs: Annotated[list[InputSpec], Field(fail_fast=True, max_length=1_000)]
    nodes: Annotated[list[NodeSpec], Field(fail_fast=True, min_length=1, max_length=1_000)]
    outputs: Outputs


class FragmentSpec(_Strict):
    """A fragment: one text, or one per domain."""

    kind: Literal["fragment"]
    id: str
    facet: Facet
    text: Text | None = None
    texts: dict[str, Text] = {}
    domains: Names = []
    nodes: Names = []
    requires: Names = []
    conflicts: Names = []
    pinned: bool = False


class DemoSetSpec(_Strict):
    """Demonstrations that the user wrote."""

    kind: Literal["demos"]
    id: str
    node: str
    demos: list[dict[str, JsonValue]]
    domains: Names = []
    pinned: bool = False


class FamilySpec(_Strict):
    """A family by its registered name, with the arguments that rebuild it."""

    kind: Literal["family"]
    id: str
    family: str
    arguments: dict[str, JsonValue] = {}
    facet: Facet
    nodes: Names = []
    pinned: bool = False


ItemSpec = Annotated[FragmentSpec | DemoSetSpec | FamilySpec, Field(discriminator="kind")]


class TaskSpec(_Strict):
    """A task: what is different in it, and the texts and demonstrations that are used."""

    domain: str
    description: Text = []
    signatures: dict[str, SignatureSpec] = {}
    outputs: Outputs
    metric: dict[str, JsonValue]
    sizes: dict[str, Count]
    data: dict[str, str]
    texts: dict[str, dict[str, Text]] = {}
    demos: dict[str, dict[str, list[dict[str, JsonValue]]]] = {}


class FrontPointSpec(_Strict):
    """A program on the front of what is traded off."""

    program: str
    quality: Number
    se: Number
    tokens: Number
    usd: Number | None
    latency: Number
    chosen: bool


class CompileSpec(_Strict):
    """What the compile did."""

    improved: bool
    reason: str
    notes: Names
    optimizer: dict[str, JsonValue]
    seed: int
    trials: Count
    spent: dict[str, Number]
    phases: dict[str, Count]
    fingerprint: str
    versions: dict[str, str]
    refused: Names = []
    weights: dict[str, Annotated[Number, Field(ge=0)]] = {}
    front: Annotated[list[FrontPointSpec], Field(fail_fast=True, max_length=1_000)] = []


class WeightedSpec(_Strict):
    """An item in a mixture; its gate is open."""

    item: str
    amount: Count
    weight: Share
    effect: Number


class MixtureSpec(_Strict):
    """A node's mixtures in a task: the facets with open items."""

    gates: dict[Facet, Share]
    facets: dict[Facet, Annotated[list[WeightedSpec], Field(fail_fast=True)]]


class NodeSettingsSpec(_Strict):
    """A node's settings in the schedule."""

    format: Format
    temperature: Annotated[Number, Field(gt=0)]
    gates: dict[Facet, Share]
    choices: Annotated[dict[str, str], Field(description="choice to the option that is picked")] = {}


class ScheduleSpec(_Strict):
    """What was learned."""

    fusion: Literal["compose"]
    as_written: Names = []
    nodes: dict[str, NodeSettingsSpec] = {}
    costs: dict[str, Number] = {}
    everywhere: dict[str, Number] = {}
    at_node: dict[str, dict[str, Number]] = {}
    in_task: dict[str, dict[str, dict[str, Number]]] = {}
    directions: dict[str, dict[str, Numbers]] = {}
    pairs: dict[str, dict[str, dict[str, Number]]] = {}
    by_node: Annotated[dict[str, ScheduleSpec], Field(description="what nodes follow in place of this")] = {}
    by_task: Annotated[dict[str, ScheduleSpec], Field(description="what tasks follow in place of this")] = {}


class ScoreSpec(_Strict):
    """A mean score."""

    mean: Number
    se: Number
    n: Count


class ComparisonSpec(_Strict):
    """Before and after on the same rows."""

    before: ScoreSpec
    after: ScoreSpec
    gain: Number
    se: Number


class AdaptedSpec(_Strict):
    """How a task was added to a program that had been compiled without it."""

    rung: Rung
    expected: Number
    se: Annotated[Number, Field(ge=0)]
    sources: Annotated[dict[str, Share], Field(max_length=1_000)] = {}


class TaskScoreSpec(_Strict):
    """Scores and cost of a task."""

    confirmation: ComparisonSpec | None
    test: ComparisonSpec | None
    cost: dict[str, dict[str, Number | None]]
    adapted: AdaptedSpec | None = None
    replaced: ComparisonSpec | None = None


class GrowthSpec(_Strict):
    """What every task scored after every stage; the first stage is the program as written."""

    stages: Annotated[list[str], Field(fail_fast=True, min_length=2, max_length=1_000)]
    learned_in: dict[str, Annotated[int, Field(ge=1)]]
    scores: Annotated[list[dict[str, Number]], Field(fail_fast=True, max_length=1_000)]


class EffectSpec(_Strict):
    """What showing something does to a score, its standard error, and the outcomes that showed it."""

    effect: Number
    se: Annotated[Number, Field(ge=0)]
    n: Count


class PointSpec(_Strict):
    """A point of the learning curve."""

    fold: Count = 0
    trials: Count
    calls: Count
    score: Number
    expected: Number | None = None


class SharedEffectSpec(_Strict):
    """What an item does in a task that was not seen: in the middle of those that were, and along each direction."""

    effect: Number
    se: Annotated[Number, Field(ge=0)]
    along: Numbers = []
    along_se: Numbers = []


class SharedSpec(_Strict):
    """What tasks have in common, and how far a single one may be from that."""

    own: Annotated[Number, Field(ge=0)]
    effects: dict[str, dict[str, SharedEffectSpec]]


class LearnedSpec(_Strict):
    """What the search learned about items and settings, and how it got there."""

    method: Literal["posterior", "comparison"]
    importance: Annotated[dict[str, Share], Field(max_length=64)] = {}
    settings: dict[str, dict[str, dict[str, EffectSpec]]] = {}
    effects: dict[str, dict[str, dict[str, EffectSpec]]] = {}
    curve: Annotated[list[PointSpec], Field(fail_fast=True, max_length=64)] = []
    shared: SharedSpec | None = None
    sources: Annotated[dict[str, Share], Field(max_length=1_000)] = {}


class EmbeddingSpec(_Strict):
    """The task embedder, the tasks' coordinates, and the basis they are seen in."""

    embedder: dict[str, JsonValue]
    tasks: dict[str, Numbers]
    scale: Annotated[list[Annotated[Number, Field(gt=0)]], Field(fail_fast=True)]
    centre: Numbers
    components: Annotated[list[Numbers], Field(fail_fast=True)]


class Artifact(_Strict):
    """A compiled program."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    schema_name: Literal["fusionprog-artifact-1.json"] = Field(alias="$schema")
    schema_version: Literal[1]
    program: ProgramSpec
    lm: dict[str, dict[str, JsonValue]]
    lm_as_written: Annotated[
        dict[str, dict[str, JsonValue]], Field(description="models of nodes where tasks are left as written, if others")
    ] = {}
    pool: Annotated[list[ItemSpec], Field(fail_fast=True)]
    tasks: Annotated[dict[str, TaskSpec], Field(min_length=1)]
    compile: CompileSpec
    mixtures: dict[str, dict[str, MixtureSpec]]
    schedule: ScheduleSpec
    scores: dict[str, TaskScoreSpec]
    learned: LearnedSpec | None = None
    growth: GrowthSpec | None = None
    lineage: LineageSpec | None = None
    embedding: EmbeddingSpec
    hash: str


def json_schema() -> dict[str, Any]:
    """Returns the published JSON Schema (draft 2020-12)."""
    schema = Artifact.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_NAME, **schema}
