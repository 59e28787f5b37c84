"""Attachments: names, types, base64."""

import base64
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.compose.attachment import Attachment, ascii_filename, base64_lines, guessed_type
from mailer.errors import AttachmentError


def test_from_a_path_from_bytes_and_from_a_stream_is_the_same(tmp_path):
    path = tmp_path / "terms.pdf"
    path.write_bytes(b"%PDF")
    made = Attachment.from_path(path)
    assert made == Attachment.from_bytes(b"%PDF", "terms.pdf")
    assert made == Attachment.from_stream(io.BytesIO(b"%PDF"), "terms.pdf")
    assert (made.filename, made.content_type) == ("terms.pdf", "application/pdf")


def test_name_and_type_may_be_said(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"a,b")
    made = Attachment.from_path(path, "list.dat", "text/csv")
    assert (made.filename, made.content_type) == ("list.dat", "text/csv")


@given(st.binary(max_size=500))
def test_base64_comes_in_lines_of_76(octets):
    encoded = base64_lines(octets)
    assert base64.b64decode(encoded) == octets
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))
    assert encoded == b"" or encoded.endswith(b"\r\n")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.pdf", "application/pdf"),
        ("a.png", "image/png"),
        ("a", "application/octet-stream"),
        ("a.tar.gz", "application/gzip"),
        ("a.eml", "message/rfc822"),
        ("a.csv.xz", "application/octet-stream"),
    ],
)
def test_the_type_is_what_the_name_suggests_and_base64_may_be(name, kind):
    assert guessed_type(name) == kind


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\nb", "a\0", "\u2028", "x" * 201])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(AttachmentError):
        Attachment.from_bytes(b"", name)


@pytest.mark.parametrize("kind", ["", "pdf", "a/b; c", "a/b\r\nX: y", "ä/b"])
def test_a_type_that_is_none_is_refused(kind):
    with pytest.raises(AttachmentError, match="is no media type"):
        Attachment.from_bytes(b"", "a", kind or " ")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AttachmentError, match=r"cannot attach .*/no\.pdf: No such file"):
        Attachment.from_path(tmp_path / "no.pdf")


def test_a_text_stream_is_refused_with_what_to_do():
    with pytest.raises(AttachmentError, match="binary mode"):
        Attachment.from_stream(io.StringIO("x"), "a.txt")


@pytest.mark.parametrize(
    ("name", "fallback"),
    [("Übersicht €.pdf", "Ubersicht _.pdf"), ("漢字.pdf", "__.pdf"), ('a"b\\c.pdf', "a_b_c.pdf")],
)
def test_readers_without_rfc_2231_get_a_name_in_ascii(name, fallback):
    assert ascii_filename(name) == fallback


def test_the_repr_does_not_hold_the_content():
    assert "secret" not in repr(Attachment.from_bytes(b"secret", "a.txt"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "terms.pdf")
    with pytest.raises(AttachmentError, match=r"terms\.pdf: it is a pipe or a device"):
        Attachment.from_path(tmp_path / "terms.pdf")
