"""The tables of the store."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, MetaData, String, Table, Text

SCHEMA_VERSION = 2

RECEIPT = "batch "  # keys of fusionprog_info with which a process notes the last batch that it wrote

metadata = MetaData()

info = Table("fusionprog_info", metadata, Column("key", String(64), primary_key=True), Column("value", Text))

models = Table(
    "fusionprog_models",
    metadata,
    Column("id", String(64), primary_key=True, comment="digest of the identity"),
    Column("identity", Text, nullable=False, comment="JSON without secrets"),
)

prompts = Table(
    "fusionprog_prompts",
    metadata,
    Column("id", String(64), primary_key=True, comment="digest of the messages"),
    Column("messages", Text, nullable=False, comment="JSON: what is the same in every call of a prompt"),
)

calls = Table(
    "fusionprog_calls",
    metadata,
    Column("key", LargeBinary(16), primary_key=True, comment="digest of model, prompt, content and sample"),
    Column("model", String(64), nullable=False, comment="id of the model"),
    Column("prompt", String(64), nullable=False, comment="id of the messages before the last"),
    Column("content", Text, nullable=False, comment="the last message"),
    Column("sample", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("usd", Float, nullable=True, comment="null where the price is unknown"),
    Column("finish", String(16), nullable=False, comment="why the answer ended"),
    Column("created", Float, nullable=False, comment="unix time of the newest answer"),
    Column("paid_calls", Integer, nullable=False, comment="answers that were paid for under this key, this one too"),
    Column("paid_tokens", BigInteger, nullable=False),
    Column("paid_usd", Float, nullable=False, comment="an unknown price adds nothing"),
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

trials = Table(
    "fusionprog_trials",
    metadata,
    Column("study", String(64), primary_key=True),
    Column("fold", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("params", Text, nullable=False, comment="JSON"),
    Column("value", Float, nullable=True),
    Column("state", String(16), nullable=False),
)

rates = Table(
    "fusionprog_rates",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("requests_at", Float, nullable=False, comment="when the next request may be sent, as unix time"),
    Column("tokens_at", Float, nullable=False, comment="when the next token may be sent, as unix time"),
)
