"""The table of secrets. What is in ``data`` only the server's vault can open; names of variables are no secret."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table, Text, UniqueConstraint

from picloud.store.schema import Id, col, metadata

secret = Table(
    "secret",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("name", Text),
    col("variables", Text),  # JSON: names, in their order
    col("key", Text),  # which key of the vault has sealed it
    col("data", LargeBinary),
    col("created"),
    col("changed"),
    UniqueConstraint("account", "name", name="secret_name"),
    sqlite_autoincrement=True,
)
