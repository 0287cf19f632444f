"""The tables of environments: what jobs run in, the layers that it is made of, the root file systems below them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, Table, Text, UniqueConstraint

from picloud.store.schema import Id, col, metadata

environment = Table(
    "environment",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("name", Text),
    col("gone", BigInteger, "0"),  # 0, or its own id once it was deleted: the name is free again
    col("description", Text, ""),
    col("public", SmallInteger, "0"),
    col("base", Text),  # its name, "base/host"
    col("base_id", BigInteger, "0"),  # 0 for base/host
    col("interpreter", Text, ""),  # on base/host: whose, as in ``kind.env``
    col("status", Text),  # new, ready, error
    col("action", Text),  # idle, setup, edit, save, setup_error, save_error
    col("trouble", Text, ""),  # what went wrong last
    col("setup", Integer, "0"),  # setup jobs so far
    col("setup_jid", null=True),  # the one that is alive
    col("setup_since", null=True),
    col("under", null=True),  # the version that the setup job lies over; null = the base alone
    col("leaving", SmallInteger, "0"),  # the setup job ends after the save
    col("token", LargeBinary),  # of the request that made it or began to change it: a repeat is a no-op
    col("version", null=True),  # what new jobs get
    col("created"),
    col("modified"),
    UniqueConstraint("account", "name", "gone", name="environment_name"),
)

version = Table(
    "version",
    metadata,
    Column("id", Id, primary_key=True),
    col("environment"),
    col("number", Integer),
    col("base", Text),
    col("base_id"),
    col("interpreter", Text),
    col("layers", Text),  # JSON: digests of all layers, those of the base included, the lowest first
    col("python", Text),  # path inside; "" = none
    col("python_version", Text),
    col("packages", Text),  # JSON: list of [kind, name, version]
    col("recipe", Text, ""),  # the lock from which a build gives the same again
    col("digest", Text),
    col("size"),  # bytes of its own layers, compressed
    col("note", Text, ""),
    col("token", LargeBinary),  # of the save that made it
    col("created"),
    UniqueConstraint("environment", "number", name="version_number"),
)
"""What jobs run in; rows never change."""

layer = Table(
    "layer",
    metadata,
    Column("digest", Text, primary_key=True),
    col("blob", Text),
    col("size"),
    col("touched"),
)
"""Stored layers, shared by all versions and bases that name them."""

base = Table(
    "base",
    metadata,
    Column("id", Id, primary_key=True),
    col("account", BigInteger, "0"),  # 0 = everybody's
    col("name", Text),  # without "base/"
    col("layers", Text),  # JSON as in ``version``
    col("distro", Text, ""),
    col("python", Text, ""),
    col("python_version", Text, ""),
    col("packages", Text, "[]"),
    col("source", Text, ""),
    col("digest", Text),
    col("size"),
    col("created"),
    col("replaced", null=True),  # a newer one of that name came
    Index("base_name", "name"),
)
"""Root file systems; rows never change but for ``replaced``."""
