"""What a row of a list is, and which of its columns holds the address.

Spreadsheets and address books name that column in the language of who made them: ``E-Mail-Adresse`` in
Outlook's export, ``Email Address`` in Mailchimp's, ``E-mail 1 - Value`` in Google Contacts'.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

# Without accents, blanks and punctuation, in lower case.
_EMAIL_COLUMNS: Final = frozenset(
    "email emailaddress mail mailaddress emailaddr emailadresse mailadresse emailadres "  # noqa: SIM905
    "email1value email1address emailadress epost epostadresse epostadress adressemail "
    "adresseemail adressedemessagerie adresseelectronique courriel correo correoelectronico "
    "direcciondecorreoelectronico direcciondeemail enderecodeemail indirizzoemail "
    "indirizzodipostaelettronica adresemail adresemailowy sahkoposti sahkopostiosoite".split()
)


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that could not be read as fields, and the reason."""

    reason: str


Row: TypeAlias = dict[str, object] | BrokenRow


def is_email_column(name: object) -> bool:
    """Tell whether a column holds the address: ``email``, ``E-Mail``, ``Email Address``."""
    return isinstance(name, str) and _is_email(name)


@lru_cache(1024)
def _is_email(name: str) -> bool:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[\W_]+", "", plain).lower() in _EMAIL_COLUMNS


def email_columns(names: Iterable[object]) -> list[str]:
    """Return those of *names* that hold an address."""
    return [name for name in names if isinstance(name, str) and _is_email(name)]
