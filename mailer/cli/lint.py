"""`mailer lint`: what a mail expert would object to in a template."""

import click


@click.command()
@click.argument("template")
@click.option("--json", "json_", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def lint(context: click.Context, template: str, *, json_: bool) -> None:
    """Say what a mail expert would object to in TEMPLATE. Exits with 1 if there is anything.

    \b
    Example:
      mailer lint newsletter
    """  # noqa: D301
