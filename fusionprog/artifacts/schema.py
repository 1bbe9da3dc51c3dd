"""What an artifact holds, as pydantic models; the published JSON Schema is made from them.

Texts come first and one line an element; numbers that a new compile moves come last, rounded.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

SCHEMA_VERSION = 1
"""Raised whenever the file's meaning changes; ``migrations`` then gets a step."""
SCHEMA_NAME = "fusionprog-artifact-1.json"

Number = Annotated[float, Field(allow_inf_nan=False)]
Text = list[str]
TypeSpec = dict[str, JsonValue]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldSpec(_Strict):
    """A field of a signature."""

    name: str
    type: TypeSpec | None = None
    description: Text = []
    constraints: str = ""
    default: list[JsonValue] = Field([], max_length=1, description="empty: the field is required")


class SignatureSpec(_Strict):
    """A signature."""

    name: str
    instructions: Text
    inputs: list[FieldSpec]
    outputs: list[FieldSpec]


class ModuleSpec(_Strict):
    """A module by its registered name; ``same_as`` names the node whose module this one shares."""

    name: str
    arguments: dict[str, JsonValue] = {}
    same_as: str | None = None


class NodeSpec(_Strict):
    """A node."""

    name: str
    module: ModuleSpec
    signature: SignatureSpec
    sources: dict[str, dict[Literal["input", "field", "constant"], JsonValue]]


class InputSpec(_Strict):
    """An input of the program."""

    name: str
    type: TypeSpec | None = None
    default: list[JsonValue] = Field([], max_length=1, description="empty: the input is required")


class ProgramSpec(_Strict):
    """The program's graph."""

    name: str
    inputs: list[InputSpec]
    nodes: list[NodeSpec]
    outputs: dict[str, str]


class TaskSpec(_Strict):
    """A task: what is different in it, and the texts and demonstrations that are used."""

    domain: str
    description: Text = []
    signatures: dict[str, SignatureSpec] = {}
    outputs: dict[str, str]
    metric: dict[str, JsonValue]
    sizes: dict[str, int]
    data: dict[str, str]
    texts: dict[str, dict[str, Text]] = {}
    demos: dict[str, dict[str, list[dict[str, JsonValue]]]] = {}


class NodeSettingsSpec(_Strict):
    """A node's settings in the schedule."""

    format: Literal["chat", "json", "xml"]
    temperature: Annotated[Number, Field(gt=0)]
    gates: dict[str, Annotated[Number, Field(ge=0, le=1)]]


class WeightedSpec(_Strict):
    """An item in a mixture."""

    item: str
    amount: Annotated[int, Field(ge=0)]
    open: bool
    weight: Annotated[Number, Field(ge=0, le=1)]
    effect: Number


class MixtureSpec(_Strict):
    """A node's mixtures in a task."""

    gates: dict[str, Annotated[Number, Field(ge=0, le=1)]]
    facets: dict[str, list[WeightedSpec]]


class ScheduleSpec(_Strict):
    """What was learned."""

    fusion: str
    as_written: list[str] = []
    nodes: dict[str, NodeSettingsSpec] = {}
    costs: dict[str, Number] = {}
    everywhere: dict[str, Number] = {}
    at_node: dict[str, dict[str, Number]] = {}
    in_task: dict[str, dict[str, dict[str, Number]]] = {}
    directions: dict[str, dict[str, list[Number]]] = {}


class ScoreSpec(_Strict):
    """A mean score."""

    mean: Number
    se: Number
    n: int


class ComparisonSpec(_Strict):
    """Before and after on the same rows."""

    before: ScoreSpec
    after: ScoreSpec
    gain: Number
    se: Number


class TaskScoreSpec(_Strict):
    """Scores and cost of a task."""

    confirmation: ComparisonSpec
    test: ComparisonSpec | None
    cost: dict[str, dict[str, Number | None]]


class CompileSpec(_Strict):
    """What the compile did."""

    improved: bool
    reason: str
    notes: list[str]
    optimizer: dict[str, JsonValue]
    seed: int
    trials: int
    spent: dict[str, Number]
    phases: dict[str, int]
    fingerprint: str
    versions: dict[str, str]
    parents: list[str] = []


class EmbeddingSpec(_Strict):
    """The task embedder, the tasks' coordinates, and the basis they are seen in."""

    embedder: dict[str, JsonValue]
    tasks: dict[str, list[Number]]
    scale: list[Number]
    centre: list[Number]
    components: list[list[Number]]


class Artifact(_Strict):
    """A compiled program."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True)

    schema_name: Annotated[str, Field(alias="$schema")] = SCHEMA_NAME
    schema_version: Literal[1] = 1
    program: ProgramSpec
    lm: dict[str, dict[str, JsonValue]]
    pool: list[dict[str, JsonValue]]
    tasks: dict[str, TaskSpec]
    compile: CompileSpec
    mixtures: dict[str, dict[str, MixtureSpec]]
    schedule: ScheduleSpec
    scores: dict[str, TaskScoreSpec]
    embedding: EmbeddingSpec
    hash: str


def json_schema() -> dict[str, Any]:
    """Returns the published JSON Schema (draft 2020-12)."""
    schema = Artifact.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_NAME, **schema}
