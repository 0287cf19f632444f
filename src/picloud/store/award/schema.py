"""The tables of the grant programme.

A **call** (``grant_call``: the plain word is that of stored calls) is open until its deadline, or until it is closed by hand. An
**application** is one account's for one call. What is attached belongs to the application: it names bytes that the applicant has
uploaded for it, so whoever reads it sees nothing else of her account, and she may remove the files that it was made of.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table, Text, UniqueConstraint

from picloud.store.schema import Id, col, metadata

grant_call = Table(
    "grant_call",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    col("deadline"),  # epoch ms
    col("awards", Integer),  # at most so many
    col("amount"),  # of each, see wire.money
    col("ends", BigInteger, "0"),  # epoch ms: when the grants end that come of it; 0 = never
    col("created"),
    col("closed", null=True),  # by hand
    sqlite_autoincrement=True,
)

application = Table(
    "application",
    metadata,
    Column("id", Id, primary_key=True),
    col("call"),
    col("account"),
    col("person", BigInteger, "0"),  # who sent it
    col("state", SmallInteger),  # wire.award.State
    col("name", Text),
    col("institution", Text),
    col("position", Text),
    col("biography", Text),
    col("research", Text),
    col("created"),
    col("changed"),
    col("decided", null=True),
    col("note", Text, ""),  # of who decided; the applicant sees it
    col("credit", BigInteger, "0"),  # the grant that it became
    UniqueConstraint("call", "account", name="application_once"),
    Index("application_account", "account"),
    sqlite_autoincrement=True,
)

application_file = Table(
    "application_file",
    metadata,
    Column("application", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    col("blob", Text),
    col("size"),
    Index("application_file_blob", "blob"),
)
