"""How alembic gets its connection: from `upgrade`, which has one."""

from alembic import context

from broker.collector.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
