"""How an account of the configuration becomes a server that the SMTP wing can use.

The one place that knows both vocabularies. Secrets stay callables here: they are read when a
session logs in, on workers.
"""

from collections.abc import Callable, Iterable

from mailer import smtp
from mailer.config import Account, Security, Settings
from mailer.config.secrets import warn_if_exposed
from mailer.smtp.login import oauth
from mailer.smtp.rules import Rule, parse

LONGEST_WAIT = 2.5
"""Seconds that a batch waits for a connection before another batch goes first. Within two seconds,
workers that have more than their share learn of it and close some."""

_SECURITY = {
    Security.STARTTLS: smtp.Security.STARTTLS,
    Security.TLS: smtp.Security.TLS,
    Security.PLAIN: smtp.Security.PLAIN,
}


def rules(settings: Settings) -> tuple[Rule, ...]:
    """The user's own reply rules. Raises `ConfigError` that names the one which is wrong."""
    return parse(settings.rules, settings.file.name if settings.file else "environment")


def server(account: Account, rules: Iterable[Rule] = (), *, grace: float = 0.0) -> smtp.Server:
    """The submission server of *account*, with the user's *rules* before the built-in ones.

    A worker that is to stop awaits outstanding replies for *grace* seconds; who only logs in needs none.
    """
    if account.client_key:
        warn_if_exposed(f"accounts.{account.name}.client_key", account.client_key)
    return smtp.Server(
        name=account.name,
        host=account.host,
        port=account.port,
        security=_SECURITY[account.security],
        username=account.user,
        password=account.password if account.secret("password") else None,
        token=_token(account) if account.uses_oauth else None,
        mechanism=account.mechanism,
        tls_name=account.tls_name,
        ca_file=account.ca_file,
        client_cert=account.client_cert,
        client_key=account.client_key,
        local_hostname=account.local_hostname,
        max_connections=account.max_connections,
        max_messages_per_connection=account.max_messages_per_connection,
        max_age=account.max_connection_age,
        max_idle=account.max_idle,
        chunking=account.chunking,
        chunking_window=account.chunking_window,
        disable_extensions=frozenset(name.upper() for name in account.disable_extensions),
        debug=account.debug,
        provider=account.rules,
        timeouts=smtp.Timeouts(**account.timeouts.model_dump(), patience=LONGEST_WAIT, grace=grace),
        dsn=_dsn(account),
        rules=tuple(rules),
    )


def _dsn(account: Account) -> smtp.Dsn | None:
    if not account.dsn:
        return None
    ret = "HDRS" if account.dsn_return == "headers" else "FULL"
    return smtp.Dsn(notify=tuple(kind.upper() for kind in account.dsn), ret=ret)


def _token(account: Account) -> Callable[[bool], str]:
    """Where the access token comes from; one source for all connections of this process."""
    if account.token_url:
        return oauth.from_endpoint(account.token_url, lambda: _grant(account))
    if account.token_command:
        return oauth.from_command(account.token_command)
    # A file or a variable is read at each login: somebody else keeps it fresh.
    return lambda _refused: account.token()


def _grant(account: Account) -> dict[str, str]:
    """What the token endpoint is asked (RFC 6749 section 6); secrets are read for each request."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": account.secret("refresh_token").read(),
        "client_id": account.client_id or "",
    }
    if client_secret := account.secret("client_secret"):
        form["client_secret"] = client_secret.read()
    if account.scope:
        form["scope"] = account.scope
    return form
