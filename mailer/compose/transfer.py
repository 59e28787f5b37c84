"""In which transfer encoding a body goes: quoted-printable, or base64 where that is shorter."""

from mailer.compose import quoted
from mailer.compose.attachment import base64_lines


def encoded(text: str, encoding: str) -> bytes:
    """Return a whole body in the transfer encoding *encoding*."""
    text = quoted.finished(text)
    if encoding == "base64":
        return base64_lines(text.replace("\n", "\r\n").encode())
    return quoted.encode(text)


def transfer_encoding(text: str) -> str:
    """Return the transfer encoding for a body: base64 where quoted-printable would be longer.

    It is longer where more than one octet in six is not ASCII: each of those takes three octets instead
    of four thirds. Text in ASCII is never base64, because spam filters take that for an attempt to hide
    it.
    """
    return chosen(*weight(text))


def weight(text: str) -> tuple[int, int]:
    """Return how many octets *text* has, and how many of them are not ASCII."""
    if text.isascii():
        return len(text), 0
    octets = len(text.encode("utf-8", "surrogatepass"))
    return octets, octets - len(text.encode("ascii", "ignore"))


def chosen(octets: int, high: int) -> str:
    """Return the encoding of a body of *octets*, of which *high* are not ASCII."""
    return "base64" if 6 * high > octets else "quoted-printable"
