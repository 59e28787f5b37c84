"""How a complaint is broken into lines: between words, where a terminal would break within them."""

import shutil
import sys
import textwrap
from typing import Final

_NARROWEST: Final = 20
"""Columns below which words are too often longer than a line: the terminal breaks as it likes."""


def broken(text: str) -> str:
    """*text* as standard error shows it: at a terminal in lines between words, else one line as it is."""
    if not sys.stderr.isatty():
        return text
    width = shutil.get_terminal_size().columns
    if width < _NARROWEST or len(text) <= width:
        return text
    return textwrap.fill(
        text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
