"""The tables of the index.

A **tree** is an account's bucket or one of its volumes. It holds **objects** by their keys, ``/`` between the parts of a key.
A key that ends in ``/`` is an empty folder; all other folders are there because something is below them. The bytes of an
object are one row of ``content`` where they are few, else its **extents**: pieces of immutable blobs, in order.

A put may be repeated, since its answer was lost. It is known by its token: that of the newest version lies with the object,
those of versions replaced a short while ago are rows of ``former``.

Keys are compared byte by byte in every database, so that all keys below a folder are one range.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, SmallInteger, Table, Text, UniqueConstraint

from picloud.store.schema import Id, col, metadata

Key = Text().with_variant(Text(collation="C"), "postgresql")

tree = Table(
    "tree",
    metadata,
    Column("id", Id, primary_key=True),  # never given twice: kinds of jobs name volumes by it
    col("account"),
    col("name", Text),  # "" = the bucket; else a volume
    col("mount", Text, ""),  # where jobs see a volume
    col("description", Text, ""),
    col("host", Text, ""),  # a volume that shows this folder of the host, and has no objects
    col("read_only", SmallInteger, "0"),
    col("objects", BigInteger, "0"),
    col("bytes", BigInteger, "0"),
    col("created"),
    UniqueConstraint("account", "name", name="tree_name"),
    sqlite_autoincrement=True,
)

objects = Table(
    "object",
    metadata,
    Column("id", Id, primary_key=True),  # never given twice: open files follow it
    col("tree"),
    col("key", Key),
    col("version", BigInteger, "1"),  # counts the contents that it has had
    col("size"),
    col("md5", Text, ""),  # "" = not known yet
    col("public", SmallInteger, "0"),
    col("headers", Text, "{}"),  # JSON, served with it: content-type and the like
    col("token", LargeBinary),  # of the put that made this version
    col("created"),
    col("modified"),
    UniqueConstraint("tree", "key", name="object_key"),
    sqlite_autoincrement=True,
)

content = Table(
    "content",
    metadata,
    Column("object", BigInteger, primary_key=True, autoincrement=False),
    col("data", LargeBinary),
)

extent = Table(
    "extent",
    metadata,
    Column("object", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),  # its first byte in the object
    col("blob", Text),
    col("start"),  # its first byte in the blob
    col("length"),
    Index("extent_blob", "blob"),
)

former = Table(
    "former",
    metadata,
    Column("token", Text, primary_key=True),  # hex; of the put that made a version which another one has replaced since
    Column("object", BigInteger, primary_key=True, autoincrement=False),
    col("version"),
    col("size"),
    col("md5", Text),
    col("modified"),
    Index("former_modified", "modified"),
)
