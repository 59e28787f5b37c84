"""How one header field is written: encoded-words, quoting, folding.

These functions make the bytes of every header that leaves. They exist because the stdlib's folding is
wrong in ways that matter to mail. It turns any token longer than a line (a ``List-Unsubscribe`` URL, a
``References`` entry, a DKIM signature) into encoded-words, which RFC 2047 section 5 forbids. It writes
encoded-words without white space between them, loses the quotes of long display names, and lets line
breaks through.

The rules kept here, by number, as the tests name them:

1. A line break, NUL or other control character is refused, also when it hides in an encoded-word.
2. An encoded-word is at most 75 characters long and its line 76; it never splits a character; two of
   them are separated by white space (RFC 2047 sections 2 and 5).
3. Encoded-words stand in free text and display names only, never in a URL, an addr-spec or a token.
4. Lines are folded at white space that is there, at 78 characters where possible, and never exceed 998
   (RFC 5322 section 2.1.1); no line consists of white space.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import idna

from mailer.errors import HeaderError

LINE: Final = 78
LONGEST_LINE: Final = 998
_WORD: Final = 75
_FRAME: Final = len("=?utf-8?q??=")
# Subjects and display names that are kept, written: most subjects of a campaign are the same, and many
# people have the same name.
_KEPT: Final = 2048

# C0 but TAB, DEL, C1, and the two separators that some software takes for line ends.
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ENCODED_WORD: Final = re.compile(r"=\?([^?\s]*)\?([bqBQ])\?([^?]*)\?=")
_NAME: Final = re.compile(r"[!-9;-~]{1,76}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
# A token may hold an apostrophe, but readers take it for RFC 2231's; a slash must stand in quotes.
_QUOTED: Final = re.compile("[/']")
_PLAIN_PHRASE: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
)
# A dot-atom, in which dots may stand at the ends and side by side, or a quoted-string.
_LOCAL_PART: Final = re.compile(r"[^\s()<>\[\]:;@\\,\"]+|\"(?:[^\"\\\r\n]|\\.)*\"")
_DOMAIN: Final = re.compile(r"[^\s()<>@,;:\\\"\[\]]+|\[[0-9A-Za-z:.]+\]")
# What RFC 2047 section 5 (3) allows unencoded in a phrase; it is allowed everywhere else, too.
_Q_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


class _QTable(dict[str, str]):
    """Characters as Q writes them; each is written when first asked for."""

    def __missing__(self, character: str) -> str:
        octets = character.encode()
        safe = len(octets) == 1 and octets[0] in _Q_SAFE
        written = character if safe else "".join([f"={octet:02X}" for octet in octets])
        if len(self) < _Q_KEPT:
            self[character] = written
        return written


_Q: Final = _QTable({" ": "_"})
_Q_KEPT: Final = 10_000
_CONTINUED: Final = ("=8", "=9", "=A", "=B")


@lru_cache(1024)
def check_name(name: str) -> None:
    """Raise `HeaderError` unless *name* may name a header field (RFC 5322 section 2.2)."""
    if not _NAME.fullmatch(name):
        raise HeaderError(f"{name[:40]!r} is no name for a header field")


def check_text(name: str, text: str) -> None:
    """Raise `HeaderError` when *text* may not stand in the header *name* (rule 1)."""
    if text.isprintable() and "=?" not in text:
        return
    found = _CONTROL.search(text) or ("=?" in text and _hidden_control(text))
    if found:
        raise HeaderError(
            f"header {name}: the value holds a control character "
            f"(U+{ord(found.group()):04X}); a header field is one line of text"
        )


def _hidden_control(text: str) -> re.Match[str] | None:
    for charset, encoding, payload in _ENCODED_WORD.findall(text):
        found = _CONTROL.search(_decoded(charset, encoding, payload))
        if found:
            return found
    return None


def _decoded(charset: str, encoding: str, payload: str) -> str:
    octets = payload.encode("utf-8", "replace")
    try:
        if encoding in "bB":
            octets = base64.b64decode(octets + b"=" * (-len(octets) % 4))
        else:
            octets = quopri.decodestring(octets, header=True)
        return octets.decode(charset.partition("*")[0], "replace")
    except (binascii.Error, LookupError, ValueError):
        return octets.decode("latin-1")


def encoded_words(text: str, first: int = _WORD) -> list[str]:
    """Return *text* as encoded-words (rule 2), the first at most *first* characters long.

    Base64 or Q, whichever is shorter for the whole.
    """
    written = "".join(map(_Q.__getitem__, text))
    if len(written) > (len(text.encode()) + 2) // 3 * 4:
        return _words_b(text, first)
    words: list[str] = []
    room = first - _FRAME
    while len(written) > room:
        end = room
        escape = written.find("=", end - 2, end)
        end = end if escape < 0 else escape
        # An octet of the form 10xxxxxx belongs to the character before it (rule 2).
        while written.startswith(_CONTINUED, end):
            end -= 3
        words.append(f"=?utf-8?q?{written[:end]}?=")
        written, room = written[end:], _WORD - _FRAME
    words.append(f"=?utf-8?q?{written}?=")
    return words


def _words_b(text: str, first: int) -> list[str]:
    words: list[str] = []
    start, room = 0, (first - _FRAME) // 4 * 3
    for end, character in enumerate([*text, ""]):
        length = len(character.encode())
        room -= length
        if room < 0 or not character:
            encoded = binascii.b2a_base64(text[start:end].encode(), newline=False)
            words.append(f"=?utf-8?b?{encoded.decode()}?=")
            start, room = end, (_WORD - _FRAME) // 4 * 3 - length
    return words


_known_words = lru_cache(_KEPT)(lambda text, first: tuple(encoded_words(text, first)))


@lru_cache(_KEPT)
def fold_text(name: str, text: str) -> str:
    """Return the field *name* with the unstructured *text* (Subject, Comments), CRLF at its end."""
    check_text(name, text)
    text = text.strip(" \t")
    if not text:
        return f"{name}:\r\n"
    if len(name) + len(text) <= LINE - 2 and text.isascii() and "=?" not in text:
        return f"{name}: {text}\r\n"
    if not text.isascii() or "=?" in text or max(map(len, text.split())) > LONGEST_LINE - LINE:
        return _assemble(name, encoded_words(text, max(LINE - 4 - len(name), 24)), width=76)
    return _assemble(name, _atoms(text))


def _atoms(text: str) -> Iterator[str]:
    """Split at each run of white space; an atom keeps all of it but the one blank before it."""
    atom = ""
    for piece in re.split(r"(?<=[^ \t]) (?=[^ \t])", text):
        if atom:
            yield atom
        atom = piece
    yield atom


def fold_tokens(name: str, text: str) -> str:
    """Return a field of tokens (Message-ID, List-Unsubscribe, Precedence): ASCII, never encoded.

    Folded at its white space only. Raises `HeaderError` for other characters and for tokens that no
    line can hold.
    """
    check_text(name, text)
    text = text.strip(" \t")
    if not text.isascii():
        raise HeaderError(f"header {name}: only ASCII may stand in it; encode a URL's characters")
    if " " not in text and len(name) + len(text) < LONGEST_LINE - 2:
        return f"{name}: {text}\r\n"
    return _assemble(name, _atoms(text))


def fold_mailboxes(
    name: str, mailboxes: Iterable[tuple[str | None, str]], *, utf8: bool = False
) -> str:
    """Return an address field; *mailboxes* are pairs of display name and addr-spec."""
    atoms: list[str] = []
    room = LINE - 4 - len(name)
    for display, mailbox in mailboxes:
        if atoms:
            atoms[-1] += ","
        if display:
            atoms += phrase(name, display, room)
            atoms.append(f"<{addr_spec(name, mailbox, utf8=utf8)}>")
        else:
            atoms.append(addr_spec(name, mailbox, utf8=utf8))
        room = _WORD - 2
    return _assemble(name, atoms, width=76)


def phrase(name: str, display: str, room: int = _WORD - 2) -> Sequence[str]:
    """Return a display name as atoms that a line may be folded between (RFC 5322 section 3.2.5)."""
    check_text(name, display)
    if display.isascii() and "=?" not in display and "\t" not in display:
        if _PLAIN_PHRASE.fullmatch(display):
            atoms = display.split(" ")
        else:
            escaped = display.replace("\\", "\\\\").replace('"', '\\"')
            atoms = list(_atoms(f'"{escaped}"'))
        if max(map(len, atoms)) < LONGEST_LINE - LINE:
            return atoms
    words: Sequence[str] = _known_words(display, max(room, 24))
    return words


def addr_spec(name: str, mailbox: str, *, utf8: bool = False) -> str:
    """Return *mailbox* as it may be written: the domain in A-labels, the local part in ASCII.

    With *utf8* the local part may be any text (RFC 6532). Raises `HeaderError` for a domain that IDNA
    refuses, and without *utf8* for a local part that needs SMTPUTF8.
    """
    check_text(name, mailbox)
    local, at, domain = mailbox.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise HeaderError(f"header {name}: an address is not of the form local-part@domain")
    if not local.isascii() and not utf8:
        raise HeaderError(
            f"header {name}: an address is not ASCII before the @-sign; that wants SMTPUTF8"
        )
    return f"{local}@{ascii_domain(domain)}"


def ascii_domain(domain: str) -> str:
    """Return *domain* as lower-case A-labels (IDNA 2008 with UTS 46 mapping)."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except idna.IDNAError as error:
        raise HeaderError(f"{domain!r} is no domain: {error}") from error


def fold_parameters(name: str, value: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return a MIME field: *value* and its parameters (RFC 2045 section 5.1, RFC 2231 section 4).

    A parameter that is not ASCII becomes one extended parameter (``filename*=utf-8''…``), however long:
    many readers do not understand continuations (``filename*0*``).
    """
    atoms = [value]
    for key, content in parameters:
        check_text(name, content)
        atoms[-1] += ";"
        if not content.isascii() or "=?" in content:
            atoms.append(f"{key}*=utf-8''{quote(content, safe='!#$&+^`{}|')}")
        elif _TOKEN.fullmatch(content) and key != "charset" and not _QUOTED.search(content):
            atoms.append(f"{key}={content}")
        else:
            escaped = content.replace("\\", "\\\\").replace('"', '\\"')
            atoms.append(f'{key}="{escaped}"')
    return _assemble(name, atoms)


def _assemble(name: str, atoms: Iterable[str], width: int = LINE) -> str:
    """Join *atoms* by blanks, folding before an atom that would pass *width* (rule 4)."""
    check_name(name)
    lines: list[str] = []
    line = f"{name}:"
    for index, atom in enumerate(atoms):
        if index and len(line) + 1 + len(atom) > width:
            lines.append(line)
            line = ""
        line += f" {atom}"
    lines.append(line)
    if max(map(len, lines)) > LONGEST_LINE:
        raise HeaderError(f"header {name}: a part without a blank is longer than 998 characters")
    return "\r\n".join(lines) + "\r\n"
