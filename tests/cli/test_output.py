"""Tables never break a word, obey no markup, and let nothing of strangers act."""

import io
import sys

import pytest

from mailer.cli import output

LONG = "a-rather-long-local-part-of-an-address@subdomain.example.org"


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of a width that the test chooses; gives what was printed on it."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def show(width, headings, rows):
        screen = Terminal()
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "dumb")
        monkeypatch.setattr(sys, "stdout", screen)
        output.table(headings, rows)
        return screen.getvalue()

    return show


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_word_is_broken_however_narrow_the_terminal_is(terminal, width):
    words = ["campaign-of-spring", LONG, "550 5.1.1 no such user here", "2026-11-26 10:00:00"]
    shown = terminal(width, ["campaign", "recipient", "why", "since"], [words] * 3)
    for word in " ".join(words).split():
        assert shown.count(word) == 3, word


def test_a_wide_enough_terminal_shows_a_line_a_row(terminal):
    shown = terminal(120, ["name", "total"], [["spring", 1200], ["autumn", 3]])
    assert [line.split() for line in shown.splitlines()] == [
        ["name", "total"],
        ["spring", "1,200"],
        ["autumn", "3"],
    ]


@pytest.mark.parametrize("said", [r"535 5.7.8 \[/] no", "[bold]x[/]", "[/]", r"\[", "[link=x]"])
def test_no_markup_is_read_from_data(terminal, said):
    assert said in terminal(100, ["why"], [[said]])


@pytest.mark.parametrize("said", ["\x1b]0;title\x07", "\u202egnp.exe", "a\nb"])
def test_nothing_in_a_cell_acts(terminal, said):
    shown = terminal(100, ["why"], [[said]])
    assert said not in shown
    assert len(shown.splitlines()) == 2


def test_csv_quotes_every_field_and_guards_formulas(capsys):
    output.as_csv(
        ["email", "reply"], [["ada@example.org", '=cmd|"/c calc"!A1'], ["b@x", 'say "no"']]
    )
    assert capsys.readouterr().out == (
        '"email","reply"\n"ada@example.org","\'=cmd|""/c calc""!A1"\n"b@x","say ""no"""\n'
    )
