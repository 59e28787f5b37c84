"""How Alembic runs the steps: over the connection that `mailer.history.upgrade` gives it."""

from alembic import context

from mailer.history.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
