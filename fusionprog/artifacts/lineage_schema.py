"""What an artifact holds of its lineage."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fusionprog.runtime.lineage import MOST_ANCESTORS, Kind

ContentHash = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ParentSpec(_Strict):
    """A program that another was made from."""

    hash: ContentHash
    program: str
    kind: Kind
    change: Annotated[str, Field(max_length=200)] = ""


Parents = Annotated[list[ParentSpec], Field(fail_fast=True, min_length=1, max_length=MOST_ANCESTORS)]


class LineageSpec(_Strict):
    """What the program was made from, and what each of these was."""

    parents: Parents
    further: Annotated[dict[ContentHash, Parents], Field(max_length=MOST_ANCESTORS)] = {}
