"""Run by Alembic: migrate over the connection that ``picloud.store.migrate`` opened."""

from __future__ import annotations

from alembic import context

from picloud.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
