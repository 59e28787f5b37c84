"""Which octets may leave: checked at the socket's door, whatever composed them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.errors import WireError
from mailer.smtp import Reply, wire
from mailer.smtp.extensions import Extensions

LINES = st.lists(
    st.binary(max_size=30).map(lambda b: re.sub(rb"[\r\n\0]", b".", b)), min_size=1, max_size=12
)


def unstuffed(data: bytes) -> bytes:
    """What a server reads (RFC 5321 section 4.5.2)."""
    assert data.endswith(b"\r\n.\r\n") or data == b".\r\n"
    return b"".join(
        (line[1:] if line.startswith(b".") else line) + b"\r\n"
        for line in data[:-3].split(b"\r\n")[:-1]
    )


@given(LINES)
@example([b"."])
@example([b"", b".", b"..", b"x"])
def test_dots_are_doubled_so_that_the_server_reads_what_was_composed(lines):
    content = b"\r\n".join(lines) + b"\r\n"
    data = wire.as_data(content, has_dots=wire.check_content(content))
    assert b"\r\n.\r\n" not in data[:-5]
    assert unstuffed(data) == content


@given(st.binary(min_size=1, max_size=200))
def test_content_passes_exactly_if_every_line_end_is_crlf_and_there_is_no_nul(content):
    is_clean = b"\0" not in content and not re.search(rb"\r(?!\n)|(?<!\r)\n", content)
    if is_clean:
        wire.check_content(content)
    else:
        with pytest.raises(WireError):
            wire.check_content(content)


@pytest.mark.parametrize("size", [997, 998, 999])
@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\nmore\r\n"])
@pytest.mark.parametrize("before", [b"", b"short\r\n" * 300])
def test_a_line_may_have_998_octets_and_no_more(size, end, before):
    content = before + b"x" * size + end
    if size <= 998:
        wire.check_content(content)
    else:
        with pytest.raises(WireError, match="longer than 998"):
            wire.check_content(content)


# Whatever can go wrong where a constant and a value meet, and much of it.
ODD = st.lists(
    st.sampled_from([b"", b"a", b".", b"\r", b"\n", b"\r\n", b"\0", b"|", b"x" * 400, b"y" * 499]),
    max_size=4,
).map(b"".join)


@given(st.lists(st.one_of(ODD, st.none()), max_size=6), st.lists(ODD, min_size=6, max_size=6))
@example([b"a\r\n", None, b"b\r\n"], [b"."] * 6)
@example([None, b".\r\n"], [b"a\r\n"] * 6)
@example([None, None], [b"a\r", b"\n", b"", b"", b"", b""])
@example([b"a\r", None], [b"\n"] * 6)
@example([None, b"x" * 499, None], [b"y" * 499, b"z", b"", b"", b"", b""])
@example([b"a\r\n", None, None], [b"", b".", b"", b"", b"", b""])
def test_what_a_skeleton_vouches_for_would_pass_and_needs_no_stuffing(pieces, values):
    left = iter(values)
    filled = [next(left) if piece is None else piece for piece in pieces]
    used = [one for one, piece in zip(filled, pieces, strict=True) if piece is None]
    content = b"".join(filled)
    if content and wire.Skeleton(pieces).vouches(used):
        assert wire.check_content(content) is False


def test_a_skeleton_vouches_for_a_newsletter():
    line = b"All that is new, and some that is not, in lines as long as mail has them.\r\n"
    skeleton = wire.Skeleton(
        [b"From: a@b.c\r\n\r\n", line * 200, b"Dear ", None, b",\r\n", None, line]
    )
    assert skeleton.vouches([b"Ada", b"https://shop.example/=\r\nABC=\r\n"])
    assert not skeleton.vouches([b"Ada", b"x" * 950])
    assert not skeleton.vouches([b"Ada", b".hidden"])
    assert not skeleton.vouches([b"Ada\r\n.\r\nMAIL FROM:<x@y.z>", b""])


@pytest.mark.parametrize(
    "constant", [b".a\r\n", b"a\r\n.b", b"a\r", b"\nb", b"a\nb", b"a\0", b"x" * 999]
)
def test_a_skeleton_with_a_doubtful_constant_vouches_for_nothing(constant):
    assert not wire.Skeleton([b"a\r\n", constant, None]).vouches([b"a"])


def test_an_error_names_the_line():
    with pytest.raises(WireError, match="line 3"):
        wire.check_content(b"a\r\nb\r\nc\nd\r\n")


def test_an_empty_content_is_an_error():
    with pytest.raises(WireError):
        wire.check_content(b"")


@pytest.mark.parametrize(
    ("address", "path", "needs_utf8"),
    [
        ("ada@example.org", b"ada@example.org", False),
        ("bounce+1=2@mail.example.org", b"bounce+1=2@mail.example.org", False),
        ("a..b.@docomo.example", b"a..b.@docomo.example", False),
        ('"ada lovelace"@example.org', b'"ada lovelace"@example.org', False),
        ('"a@b"@example.org', b'"a@b"@example.org', False),
        ("ada@[192.0.2.1]", b"ada@[192.0.2.1]", False),
        ("ada@bücher.example", b"ada@xn--bcher-kva.example", False),
        ("Ada@BÜCHER.example", b"Ada@xn--bcher-kva.example", False),
        ("jürgen@example.org", "jürgen@example.org".encode(), True),
    ],
)
def test_an_address_is_written_as_a_path(address, path, needs_utf8):
    assert wire.mailbox(address) == (path, needs_utf8)


@pytest.mark.parametrize(
    "address",
    [
        "", "ada", "@example.org", "ada@", "ada@exa mple.org", "a da@example.org", "ada@example.org>",
        "<ada@example.org", "ada@example.org\r\nDATA", "ada\n@example.org", "ada\0@example.org",
        "ada\u2028@example.org", "ada\u00a0b@example.org", "ada@-\u0301.example", "ada@.example.org",
        '"a"b@example.org',
        "a" * 250 + "@example.org", '"a\\"@example.org', "ada\x7f@example.org", "ada@example..org",
        "ada\x85@example.org",
    ],
)  # fmt: skip
def test_what_could_break_a_command_is_no_address(address):
    with pytest.raises(WireError) as caught:
        wire.mailbox(address)
    assert "example" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_address_ends_a_command_before_its_end(address):
    try:
        path, _ = wire.mailbox(address)
    except WireError:
        return
    line = wire.command(b"RCPT TO:<%b>\r\n" % path)
    assert line.count(b"\r\n") == 1
    assert not re.search(rb"[\x00-\x1f\x7f]", line[:-2])


@pytest.mark.parametrize(
    "line", [b"MAIL FROM:<a>\r\nDATA\r\n", b"x\0\r\n", b"x\x7f\r\n", b"x\t\r\n", b"x", b"\r\n"]
)
def test_a_command_is_one_line_without_controls(line):
    with pytest.raises(WireError):
        wire.command(line)


def test_xtext_escapes_what_is_special_in_a_parameter():
    assert wire.xtext("a+b=c d") == "a+2Bb+3Dc+20d"


def test_extensions_are_read_in_all_their_spellings():
    reply = Reply.parse(
        "250-mx.example greets you\n250-size 1000\n250-AUTH=LOGIN\n250-AUTH PLAIN login\n"
        "250-LIMITS RCPTMAX=3 MAILMAX=7 FOO=x\n250-\n250 Pipelining"
    )
    offered = Extensions.read(reply, disabled=["dsn"])
    assert "PIPELINING" in offered
    assert (offered.size, offered.mail_max, offered.mechanisms) == (1000, 7, ("LOGIN", "PLAIN"))


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("SIZE", None),
        ("SIZE 0", None),
        ("SIZE x", None),
        ("SIZE 5", 5),
        ("SIZE " + "9" * 20, 10**20 - 1),
        ("SIZE " + "9" * 21, None),
        ("SIZE " + "9" * 900, None),
        ("SIZE ²", None),
        ("SIZE -5", None),
    ],
)
def test_no_size_and_size_zero_mean_no_limit(line, size):
    assert Extensions.read(Reply.parse(f"250-me\n250 {line}")).size == size


@pytest.mark.parametrize("digits", [21, 5_000])
def test_a_limit_of_thousands_of_digits_is_none(digits):
    reply = Reply(
        250, None, ("me", f"LIMITS MAILMAX={'9' * digits} RCPTMAX=5", f"SIZE {'1' * digits}")
    )
    offered = Extensions.read(reply)
    assert (offered.mail_max, offered.size) == (None, None)
