"""A server that says anything at all: the opening ends in a session or a refusal, and tells no secret."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.smtp import Action, Reply, Security, Server
from mailer.smtp.dialogue import Ask, RefusedError, Say, Secure
from mailer.smtp.handshake import Opened, open_session
from mailer.smtp.login import sasl

SECRET = "correct horse battery"

LINES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "STARTTLS",
            "AUTH " + " ".join(sasl.MECHANISMS),
            "AUTH=PLAIN LOGIN",
            "SIZE " + "9" * 5000,
            "LIMITS MAILMAX=" + "9" * 5000,
            "PIPELINING",
            base64.b64encode(b"r=x,s=AAAA,i=4096").decode(),
            base64.b64encode(b"r=\xff,s=\xff,i=" + b"9" * 5000).decode(),
            base64.b64encode(b'{"status": {"a": [1]}}').decode(),
            base64.b64encode(b"[" * 100_000).decode(),
            "=" * 30,
        ]
    ),
)
REPLIES = st.builds(
    Reply,
    code=st.one_of(
        st.sampled_from([220, 235, 250, 334, 354, 421, 454, 500, 502, 504, 535]),
        st.integers(200, 599),
    ),
    enhanced=st.none(),
    lines=st.lists(LINES, min_size=1, max_size=6).map(tuple),
    suspect=st.booleans(),
)


def opened(server, replies):
    """What *server*'s opening ends with, if *replies* last as long, and what was written."""
    opening = open_session(server, "127.0.0.1")
    answers, written = iter(replies), []
    try:
        step = next(opening)
        while True:
            match step:
                case Say():
                    assert SECRET not in repr(step)
                    written.append(step.data)
                    if (reply := next(answers, None)) is None:
                        return None, written
                    step = opening.send(reply)
                case Ask():
                    step = opening.send(step.call())
                case Secure():
                    step = next(opening)
    except RefusedError as exc:
        return exc, written
    except StopIteration as stop:
        return stop.value, written


@pytest.mark.parametrize("mechanism", [None, *sasl.MECHANISMS])
@pytest.mark.parametrize("security", [Security.STARTTLS, Security.PLAIN])
@settings(max_examples=40)
@given(replies=st.lists(REPLIES, max_size=14))
def test_every_opening_ends_in_a_session_or_a_refusal(mechanism, security, replies):
    server = Server(
        name="a",
        host="mx.example",
        port=25,
        security=security,
        username="shop",
        password=lambda: SECRET,
        token=(lambda _refused: SECRET) if mechanism in sasl.TOKEN_MECHANISMS else None,
        mechanism=mechanism,
    )
    end, written = opened(server, replies)
    if isinstance(end, RefusedError):
        assert SECRET not in f"{end.judgement}{end.__cause__}{end.__context__}"
        assert end.judgement.action is not Action.OK
        assert "unforeseen" not in end.judgement.rule
    elif end is not None:
        assert isinstance(end, Opened)
        assert end.mechanism is not None
        assert security is Security.PLAIN or b"STARTTLS\r\n" in written
