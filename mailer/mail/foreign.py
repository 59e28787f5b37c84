"""How text that strangers wrote is made fit to be shown: on a terminal, in a log line, in a CSV cell.

Recipients' rows, servers' replies, file names and URLs are foreign text. A terminal obeys escape
sequences in it, a bidirectional mark makes a line read backwards, a line break forges a second log line,
and a spreadsheet runs what begins with ``=``. So each way out has its function here, and nothing else
decides what is safe.
"""

import re
from typing import Final

_LONGEST: Final = 1_000

# Controls (C0, DEL, C1), bidirectional marks and overrides, other invisible characters, surrogates. Line
# break and tab are let through where a text may have several lines; so are the joiners U+200C and U+200D,
# which emoji and several scripts need and which move nothing.
_UNSAFE: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_BREAKS: Final = re.compile("[\t\n]")
_FORMULA: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    ";",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)


def shown(text: str) -> str:
    r"""Return *text* for a terminal: what would act there is written out, as ``\x1b``.

    Line breaks and tabs stay: who wants one line takes `one_line`.
    """
    return _UNSAFE.sub(_written_out, text)


def one_line(text: str, longest: int = _LONGEST) -> str:
    r"""Return *text* as one line for a log or a table: cut to *longest* characters, breaks as ``\n``."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return _BREAKS.sub(_written_out, shown(cut))


def csv_cell(value: object) -> object:
    """Return *value* as a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value


def _written_out(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\n":
        return "\\n"
    if character == "\t":
        return "\\t"
    if character == "\r":
        return "\\r"
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
