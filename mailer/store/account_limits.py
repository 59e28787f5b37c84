"""Which limits the configuration sets, in the words of the store."""

from collections.abc import Iterable

from mailer.config import Account, Domain, Rate, Settings
from mailer.mail.schedule import Reset
from mailer.store.limit_rules import AccountRules, Cap, DomainRules, Rules


def rules(settings: Settings) -> Rules:
    """The limits of every account and recipient domain of *settings*."""
    domains = {}
    for name, domain in settings.domains.items():
        limits = _of_domain(name, domain)
        domains.update(dict.fromkeys(map(str.lower, domain.group or (name,)), limits))
    return Rules({name: _of_account(one) for name, one in settings.accounts.items()}, domains)


def _of_account(account: Account) -> AccountRules:
    return AccountRules(_caps(account.rate), Reset.parse(account.resets), account.warmup)


def _of_domain(name: str, domain: Domain) -> DomainRules:
    return DomainRules(name.lower(), _caps(domain.rate), domain.connections)


def _caps(rates: Iterable[Rate]) -> tuple[Cap, ...]:
    return tuple(Cap(rate.count, rate.seconds) for rate in rates)
