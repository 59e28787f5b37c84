"""What the DNS has at a name: its texts, none, or why it could not be asked.

All questions of one `Names` together take no longer than its seconds. Name servers of a closed network
say of every name outside that it does not exist; so "none" counts only where they know
its top-level domain.
"""

from time import monotonic
from typing import TYPE_CHECKING, Final

from mailer.errors import ConfigError
from mailer.mail.receivers.records import Answer

if TYPE_CHECKING:
    from dns.resolver import Resolver

# RFC 2606 and 6761: nobody has them, so that nothing can be said of them.
_RESERVED: Final = frozenset({"example", "test", "invalid", "localhost", "local", "internal"})


class Names:
    """Asks the system's name servers, or *nameserver* (``address`` or ``address:port``).

    *trusted* ones are believed without asking what they know beside: those that somebody chose.
    """

    def __init__(
        self, nameserver: str | None = None, seconds: float = 5.0, *, trusted: bool | None = None
    ) -> None:
        self._left = seconds
        self._trusted = nameserver is not None if trusted is None else trusted
        self._open: dict[str, bool] = {}
        self._resolver, self._why = _resolver(nameserver)

    def texts(self, name: str) -> Answer:
        """Return the TXT records at *name*; raises nothing."""
        top = name.rpartition(".")[2]
        if not self._trusted and top in _RESERVED:
            return Answer(name, why="a name that is reserved for examples and private networks")
        answer = self._timed(name, "TXT")
        if answer.texts or answer.why or self._trusted:
            return answer
        if top not in self._open:
            self._open[top] = bool(self._timed(top, "NS").texts)
        if self._open[top]:
            return answer
        return Answer(name, why=f"the name servers do not know .{top}, so none of the public names")

    def _timed(self, name: str, kind: str) -> Answer:
        if self._resolver is None or self._left <= 0:
            return Answer(name, why=self._why or "the name servers took too long")
        began = monotonic()
        try:
            return _asked(self._resolver, name, kind, self._left)
        finally:
            self._left -= monotonic() - began


def _resolver(nameserver: str | None) -> "tuple[Resolver | None, str]":
    try:
        from dns.resolver import NoResolverConfiguration, Resolver  # noqa: PLC0415 - an extra
    except ImportError:
        return None, "dnspython is missing: pip install 'celery-mailer[dns]'"
    if nameserver is None:
        try:
            return Resolver(), ""
        except NoResolverConfiguration:
            return None, "this machine has no name server configured"
    address, port = _place(nameserver)
    resolver = Resolver(configure=False)
    resolver.port = port
    try:
        resolver.nameservers = [address]
    except ValueError:
        raise ConfigError(f"nameserver: {address!r} is no IP address") from None
    return resolver, ""


def _place(nameserver: str) -> tuple[str, int]:
    """Split ``address:port``; an IPv6 address with a port stands in brackets."""
    address, gap, port = nameserver.rpartition(":")
    if not gap or (":" in address and not address.endswith("]")):
        return nameserver.strip("[]"), 53
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"nameserver: {port!r} is no port; write it as 192.0.2.1:53")
    return address.strip("[]"), int(port)


def _asked(resolver: "Resolver", name: str, kind: str, seconds: float) -> Answer:
    from dns.exception import DNSException, Timeout  # noqa: PLC0415 - an extra
    from dns.resolver import NXDOMAIN, NoAnswer  # noqa: PLC0415

    try:
        found = resolver.resolve(f"{name}.", kind, lifetime=seconds)
    except (NXDOMAIN, NoAnswer):
        return Answer(name)
    except Timeout:
        return Answer(name, why="the name servers took too long")
    except (DNSException, OSError) as error:
        return Answer(name, why=f"the name servers gave no answer ({type(error).__name__})")
    if kind != "TXT":
        return Answer(name, tuple(str(one) for one in found))
    # One record may come in pieces of 255 octets each, which belong together (RFC 7208 section 3.3).
    return Answer(name, tuple(b"".join(one.strings).decode("ascii", "replace") for one in found))
