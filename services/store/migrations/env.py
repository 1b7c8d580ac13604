"""Run by Alembic on the connection that `services.store.migrate` hands over."""

from alembic import context

from services.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table="unblock_schema"
)
with context.begin_transaction():
    context.run_migrations()
