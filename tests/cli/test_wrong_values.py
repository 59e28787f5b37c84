"""A value that nothing in the world could make right ends with 2, what depends on the world with 1."""

import pytest

from tests.conftest import free_port

SEND = ("send", "spring", "-t", "hello", "--set", "season=spring", "--skip-faulty", "people.csv")

WRONG = [
    (("send", "two words", *SEND[2:]), "campaign name"),
    *(
        ((*SEND, *more), said)
        for more, said in (
            (("--from", "nobody"), "--from"),
            (("--reply-to", "nobody"), "--reply-to"),
            (("--test-to", "nobody"), "--test-to"),
            (("--at", "yesterday-ish"), "--at"),
            (("--set", "foo"), "--set"),
            (("--header", "foo"), "--header"),
            (("--retry", "foo=1"), "unknown key"),
            (("--window", "sometimes"), "window"),
            (("--weight", "0"), "weight"),
            (("--batch-size", "0"), "--batch-size"),
            (("--on-uncertain", "ask"), "--on-uncertain"),
            (("--encoding", "utf-99"), "no encoding"),
        )
    ),
    (("run", "spring", "-t", "hello", "--concurrency", "0", "people.csv"), "--concurrency"),
    (("status", "--since", "once"), "--since"),
    (("status", "--state", "odd"), "--state"),
    (("failures", "spring", "--outcome", "odd"), "--outcome"),
    (("export", "spring", "--outcome", "odd"), "--outcome"),
    (("schedule", "spring", "--at", "once"), "--at"),
    (("schedule", "spring"), "say when"),
    (("trace", "nobody"), "no address"),
    (("erase", "nobody"), "no address"),
    (("forget",), "say which"),
    (("forget", "--older-than", "long"), "--older-than"),
    (("dead", "list", "--older-than", "long"), "--older-than"),
    (("dead", "purge", "--newer-than", "long"), "--newer-than"),
    (("suppress", "add", "nobody"), "no address"),
    (("suppress", "remove", "nobody"), "no address"),
    (("suppress", "add", "ada@example.org", "--scope", "a b"), "scope"),
    (("suppress", "list", "--scope", "a b"), "scope"),
    (("suppress", "add", "ada@example.org", "--until", "2020-01-01"), "is over"),
    (("suppress", "add", "ada@example.org", "--days", "0"), "--days"),
    (("explain", "HELLO", "550 no"), "STAGE"),
    (("explain", "RCPT", "no"), "REPLY"),
    (("preview", "hello", "--row", "0"), "--row"),
    (("init", "--preset", "nobody"), "--preset"),
    (("web", "--port", "99999"), "--port"),
]

OF_THE_WORLD = [
    (("send", "spring", "-t", "goodbye", "people.csv"), "no template 'goodbye'"),
    (("send", "spring", "-t", "hello", "nobody.csv"), "nobody.csv"),
    ((*SEND, "--attach", "terms.pdf"), "terms.pdf"),
    ((*SEND, "--account", "primray"), "did you mean 'primary'"),
    (("preview", "goodbye"), "no template 'goodbye'"),
    (("preview", "hello", "people.csv", "--row", "99"), "no row 99"),
    (("lint", "goodbye"), "no template 'goodbye'"),
    *(
        ((*words.split(), "winter"), "no campaign 'winter'")
        for words in ("status", "failures", "pause", "resume", "cancel --yes", "forget --yes")
    ),
    (("schedule", "winter", "--now"), "no campaign 'winter'"),
    (("export", "winter"), "no campaign 'winter'"),
    (("history", "upgrade"), "no history"),
    (("dead", "show", "none"), "no dead letter"),
    (("dead", "replay", "none"), "no dead letter"),
    (("accounts", "check", "primray"), "did you mean 'primary'"),
    (("accounts", "start", "primray"), "did you mean 'primary'"),
    (("suppress", "import", "nobody.csv"), "nobody.csv"),
    (("feedback", "explain", "nobody.eml"), "nobody.eml"),
    (("events", "replay", "nobody"), "no consumer"),
    (("events", "drop", "nobody"), "no consumer"),
]


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [(*one, 2) for one in WRONG] + [(*one, 1) for one in OF_THE_WORLD],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else None,
)
def test_what_is_wrong_is_one_line_and_the_exit_code_says_whose_it_is(mailer, words, said, code):
    ran = mailer(*words)

    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("mailer: ")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_a_broker_that_is_not_there_is_named_by_its_own_key(mailer, place):
    text = (place / "mailer.toml").read_text()
    away = f'broker = "redis://127.0.0.1:{free_port()}/0"\n'
    (place / "mailer.toml").write_text(away + text + "[unsubscribe]\nmailto = 'off@shop.example'\n")
    (place / "templates/hello/body.html").write_text("<p>Dear {{ name }}</p>")
    (place / "people.csv").write_text("email,name\nada@example.org,Ada\n")
    done = mailer("send", "spring", "--template", "hello", "people.csv")
    assert done.code == 1
    assert "the broker cannot be reached" in done.err
    assert "say where it is with broker in mailer.toml" in " ".join(done.err.split())
