"""How an `EmailMessage` is written as bytes, correctly, on every version of Python.

`MAIL` is an `email.policy.EmailPolicy` that folds by `mailer.compose.words` alone; the stdlib's folding
is never called. It refuses a header when it is set, so that a message that exists can be sent.
`MAIL_UTF8` is for recipients whose local part is not ASCII: there, addresses are written as UTF-8 (RFC
6532), and everything else stays ASCII.

Bodies under it are quoted-printable or base64, never 8bit, with lines of at most 76 characters.
"""

import re
from collections.abc import Iterable, Iterator
from email.errors import HeaderParseError
from email.headerregistry import (
    Address,
    HeaderRegistry,
    ParameterizedMIMEHeader,
    UnstructuredHeader,
)
from email.policy import EmailPolicy
from typing import Any, Final

from mailer.compose import words
from mailer.compose.mailboxes import Mailbox, mailboxes
from mailer.errors import HeaderError

ADDRESSES: Final = frozenset(
    "from sender reply-to to cc bcc resent-from resent-sender resent-reply-to resent-to resent-cc "  # noqa: SIM905 - a list in prose
    "resent-bcc".split()
)
PARAMETERS: Final = frozenset({"content-type", "content-disposition"})
TOKENS: Final = frozenset(
    "message-id in-reply-to references date list-unsubscribe list-unsubscribe-post "  # noqa: SIM905
    "list-id list-help list-post list-subscribe list-owner list-archive feedback-id precedence "
    "auto-submitted cfbl-address cfbl-feedback-id dkim-signature authentication-results received "
    "return-path mime-version content-id content-transfer-encoding content-location importance "
    "x-auto-response-suppress x-priority errors-to disposition-notification-to".split()
)
# At most one of each (RFC 5322 section 3.6, and the RFCs of the newer fields). Gmail refuses two.
SINGLE: Final = frozenset(
    "from sender reply-to to cc bcc subject date message-id in-reply-to references mime-version "  # noqa: SIM905
    "content-type content-transfer-encoding content-disposition content-id return-path precedence "
    "auto-submitted list-id list-unsubscribe list-unsubscribe-post list-help list-owner list-post "
    "list-archive list-subscribe feedback-id".split()
)


class TokenHeader:
    """A header whose text is taken as it is: never searched for encoded-words, never encoded.

    Its parse tree is for other policies: they need one to write the header.
    """

    max_count = None

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Keep *value*; there is nothing in it to understand."""
        kwds["decoded"] = value
        kwds["parse_tree"] = UnstructuredHeader.value_parser(value)


class MailPolicy(EmailPolicy):
    """The policy of outgoing mail: CRLF, own folding, seven bits, nothing that can be injected.

    Setting a header raises `HeaderError` for a bad name, a control character (also inside an
    encoded-word), characters that its syntax does not allow, or an address that cannot be written;
    and `ValueError`, as the stdlib does, for the second one of a header that must be single.
    """

    linesep = "\r\n"
    # Only the encoding of bodies uses this. With 78, the stdlib's default, quoted-printable has lines
    # longer than 76 characters (RFC 2045 section 6.7 rule 5).
    max_line_length = 76
    cte_type = "7bit"
    mangle_from_ = False

    def header_max_count(self, name: str) -> int | None:
        """Return 1 for a header that must be single, else None."""
        return 1 if name.lower() in SINGLE else super().header_max_count(name)

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        """Check and parse a header that is set on a message."""
        words.check_name(name)
        if isinstance(value, str):
            words.check_text(name, value)
            if name.lower() in ADDRESSES:
                value = tuple(addresses(mailboxes(name, value)))
        try:
            stored = self.header_factory(name, value)
        except (IndexError, AttributeError, HeaderParseError, UnicodeError) as error:
            # The stdlib's parser raises these for some values that no header may have.
            raise HeaderError(f"header {name}: the value cannot be read ({error})") from error
        self.written(name, stored)
        return name, stored

    def fold(self, name: str, value: Any) -> str:
        """Return the field as text with CRLF at each line's end."""
        return self.written(name, self.header_fetch_parse(name, value))

    def fold_binary(self, name: str, value: Any) -> bytes:
        """Return the field as bytes: ASCII, or UTF-8 under `MAIL_UTF8`."""
        return self.fold(name, value).encode("utf-8" if self.utf8 else "ascii")

    def written(self, name: str, value: Any) -> str:
        """Return the parsed header *value* as it stands in a message."""
        kind = name.lower()
        words.check_text(name, str(value))
        if kind in ADDRESSES:
            return words.fold_mailboxes(name, _mailboxes(name, value), utf8=self.utf8)
        if kind in PARAMETERS and isinstance(value, ParameterizedMIMEHeader):
            first = getattr(value, "content_type", None) or getattr(
                value, "content_disposition", ""
            )
            return words.fold_parameters(name, str(first), value.params.items())
        if kind in TOKENS:
            return words.fold_tokens(name, str(value))
        return words.fold_text(name, str(value))


def addresses(found: Iterable[Mailbox]) -> Iterator[Address]:
    """Return mailboxes as `Address` objects; the local part is without its quotes."""
    for name, mailbox in found:
        local, _, domain = mailbox.rpartition("@")
        if local.startswith('"'):
            local = re.sub(r"\\(.)", r"\1", local[1:-1])
        yield Address(name or "", local, domain)


def _mailboxes(name: str, value: Any) -> list[tuple[str | None, str]]:
    if not value.addresses:
        raise HeaderError(f"header {name}: there is no address in it")
    if any(group.display_name for group in value.groups):
        raise HeaderError(f"header {name}: a group of addresses is not sent to")
    return [(item.display_name or None, item.addr_spec) for item in value.addresses]


def _registry() -> HeaderRegistry:
    registry = HeaderRegistry()
    for name in TOKENS - {"mime-version", "content-transfer-encoding", "date"}:
        registry.map_to_type(name, TokenHeader)  # type: ignore[arg-type] # a mixin, as theirs are
    return registry


MAIL: Final = MailPolicy(header_factory=_registry())
MAIL_UTF8: Final = MAIL.clone(utf8=True)


def fold_field(name: str, value: Any) -> str:
    """Return one header field as it stands in a message, checked as setting it would."""
    return MAIL.written(*MAIL.header_store_parse(name, value))
