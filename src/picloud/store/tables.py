"""All tables of an installation."""

from picloud.store import environment_schema as environment
from picloud.store.account import schema as account
from picloud.store.award import schema as award
from picloud.store.call import schema as call
from picloud.store.index import schema as index
from picloud.store.meter import schema as meter
from picloud.store.queue import schema as queue
from picloud.store.schema import metadata
from picloud.store.secret import schema as secret
from picloud.store.webhook import schema as webhook

__all__ = ["account", "award", "call", "environment", "index", "metadata", "meter", "queue", "secret", "webhook"]
