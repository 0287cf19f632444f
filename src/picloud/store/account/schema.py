"""The tables of users, of what they are in accounts, of links that let somebody in, and of what was done.

A **person** is a user with a password; PostgreSQL keeps the word ``user`` for itself.
One may belong to several accounts, with a role in each, and an account may have several members: that is what a project is.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, SmallInteger, Table, Text, literal_column

from picloud.store.schema import Id, col, metadata

person = Table(
    "person",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    col("email", Text, ""),  # in small letters; "" = none
    col("password", Text, ""),  # argon2id, with its parameters and salt; "" = none was set
    col("created"),
    col("changed"),  # when the password was set
    sqlite_autoincrement=True,
)
Index("person_email", person.c.email, unique=True, sqlite_where=literal_column("email <> ''"),
      postgresql_where=literal_column("email <> ''"))  # fmt: skip

ssh_key = Table(
    "ssh_key",
    metadata,
    Column("public", Text, primary_key=True),
    Column("api_key", BigInteger, primary_key=True, autoincrement=False),
    col("created"),
)
"""Public keys that open an ssh session in the jobs of an API key's account: "ssh-ed25519 AAAA..", without a comment."""

endpoint_key = Table(
    "endpoint_key",
    metadata,
    Column("api_key", BigInteger, primary_key=True, autoincrement=False),
    col("call"),
    Index("endpoint_key_call", "call"),
)
"""API keys that open one published call and nothing else."""

membership = Table(
    "membership",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("person", BigInteger, primary_key=True, autoincrement=False),
    col("role", SmallInteger),  # wire.scope.Role
    col("created"),
)
Index("membership_person", membership.c.person)

identity = Table(
    "identity",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    col("person"),
    col("created"),
    Index("identity_person", "person"),
)
"""Who a user is at a provider of OpenID Connect: what it calls her, which never changes there, and never her address."""

invitation = Table(
    "invitation",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    col("person", BigInteger, "0"),  # who may set a password by it; 0 = it invites somebody new
    col("account", BigInteger, "0"),  # into this account; 0 = into one of one's own
    col("role", SmallInteger),
    col("email", Text, ""),  # only under this address; "" = any
    col("created"),
    col("expires"),
)
"""Links that work once, by sha256."""

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    col("at"),
    col("account", BigInteger, "0"),  # for which it was done; 0 = none is known
    col("person", BigInteger, "0"),  # who did it
    col("api_key", BigInteger, "0"),  # and by which key
    col("jid", BigInteger, "0"),  # or which job
    col("address", Text, ""),  # from where
    col("act", Text),
    col("subject", Text, ""),  # on what
    col("facts", Text, ""),  # JSON
    Index("audit_at", "at"),
    sqlite_autoincrement=True,
)
"""What was done that concerns security. Rows are added and never changed; they go after ``keep_audit``."""
