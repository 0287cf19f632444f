"""All tables of an installation."""

from picloud.store.index import schema as index
from picloud.store.schema import metadata

__all__ = ["index", "metadata"]
