"""The tables of the store."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, Text

SCHEMA_VERSION = 1

metadata = MetaData()

info = Table("fusionprog_info", metadata, Column("key", String(64), primary_key=True), Column("value", Text))

calls = Table(
    "fusionprog_calls",
    metadata,
    Column("key", String(64), primary_key=True, comment="digest of model identity, messages and sample"),
    Column("model", Text, nullable=False, comment="model identity, JSON without secrets"),
    Column("messages", Text, nullable=False, comment="JSON"),
    Column("sample", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("usd", Float, nullable=True),
)

studies = Table(
    "fusionprog_studies",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("parts", Text, nullable=False, comment="JSON: part of the compile → its digest"),
)

scores = Table(
    "fusionprog_scores",
    metadata,
    Column("study", String(64), primary_key=True),
    Column("candidate", String(64), primary_key=True, comment="digest of the task's prompts"),
    Column("task", String(255), primary_key=True),
    Column("example", String(64), primary_key=True),
    Column("score", Float, nullable=False),
    Column("status", String(32), nullable=False),
    Column("error", Text, nullable=False),
)
