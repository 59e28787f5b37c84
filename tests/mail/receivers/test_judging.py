"""What receivers would object to, by a table: configuration and records in, rules out."""

import pytest

from mailer.mail.receivers.alignment import aligned, domain_of
from mailer.mail.receivers.records import (
    Answer,
    Key,
    dkim_findings,
    dmarc_findings,
    spf_findings,
)
from mailer.mail.receivers.setup import bulk_findings, covered_not, sender_findings

NAME = "shop.example"
KEY = Key("rsa", 2048, ("SPKI", "PKCS1"))


def told(findings):
    return [(finding.level, finding.rule) for finding in findings]


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("shop.example", "shop.example", True),
        ("shop.example", "News.SHOP.example", True),
        ("a.shop.example", "b.shop.example", True),
        ("shop.example", "notshop.example", False),
        ("shop.co.uk", "bounces.shop.co.uk", True),
        ("shop.co.uk", "other.co.uk", False),
        ("co.uk", "co.uk", True),
    ],
)
def test_domains_of_one_organization(one, other, answer):
    assert aligned(one, other) is aligned(other, one) is answer


@pytest.mark.parametrize(
    ("mailbox", "domain"),
    [
        ("Shop <news@Shop.Example>", "shop.example"),
        ("news@shop.example.", "shop.example"),
        ("news@bücher.example", "xn--bcher-kva.example"),
        ("", ""),
    ],
)
def test_domain_of_a_mailbox(mailbox, domain):
    assert domain_of(mailbox) == domain


@pytest.mark.parametrize(
    ("return_path", "signing", "rules"),
    [
        ("b@shop.example", ["shop.example"], []),
        ("b@bounces.shop.example", ["mail.shop.example"], []),
        ("b@shop.example", ["esp.example", "shop.example"], []),
        ("b@shop.example", [], [("advice", "dkim-here")]),
        ("b@esp.example", [], [("advice", "dkim-here"), ("advice", "spf-alignment")]),
        ("b@esp.example", ["shop.example"], [("advice", "spf-alignment")]),
        ("b@shop.example", ["esp.example"], [("warning", "dkim-alignment")]),
        (
            "b@esp.example",
            ["esp.example"],
            [("error", "dkim-alignment"), ("warning", "spf-alignment")],
        ),
    ],
)
def test_from_return_path_and_signature(return_path, signing, rules):
    assert told(sender_findings("Shop <news@shop.example>", return_path, signing)) == rules


def test_headers_of_bulk_mail():
    good = {"list-id": "<n.shop.example>", "feedback-id": "a", "message-id": "<1@shop.example>"}
    assert told(bulk_findings(good, "news@shop.example")) == []
    bad = {"message-id": "<1@host.internal>"}
    assert [rule for _, rule in told(bulk_findings(bad, "news@shop.example"))] == [
        "list-id",
        "feedback-id",
        "message-id",
    ]


@pytest.mark.parametrize(
    ("signature", "missing"),
    [
        ("v=1; h=From:List-Unsubscribe:\r\n  list-unsubscribe-post; bh=x", []),
        ("v=1; h = from : list-unsubscribe; bh=x", ["list-unsubscribe-post"]),
        ("v=1; bh=x", ["list-unsubscribe", "list-unsubscribe-post"]),
    ],
)
def test_what_a_signature_covers(signature, missing):
    assert covered_not(signature) == missing


@pytest.mark.parametrize(
    ("texts", "levels"),
    [
        (["v=spf1 include:esp.example ~all"], []),
        (["google-site-verification=x", "V=SPF1 -all"], []),
        ([], ["error"]),
        (["v=spf10 -all"], ["error"]),
        (["v=spf1 -all", "v=spf1 ~all"], ["error"]),
        (["v=spf1 +all"], ["warning"]),
        (["v=spf1 all"], ["warning"]),
        (["v=spf1 " + "include:a.example " * 10 + "ip4:192.0.2.1 -all"], []),
        (["v=spf1 " + "include:a.example " * 10 + "mx -all"], ["error"]),
    ],
)
def test_spf(texts, levels):
    assert [one.level for one in spf_findings(Answer(NAME, tuple(texts)))] == levels


@pytest.mark.parametrize(
    ("texts", "key", "wrong"),
    [
        (["v=DKIM1; k=rsa; p=SPKI"], KEY, None),
        (["p=SP KI"], KEY, None),
        (["p=PKCS1; t=s"], KEY, None),
        (["v=DKIM1; k=ed25519; p=ED"], Key("ed25519", 256, ("ED",)), None),
        ([], KEY, "has no DKIM key"),
        (["v=spf1 -all"], KEY, "has no DKIM key"),
        (["v=DKIM1; p="], KEY, "revoked"),
        (["p=OTHER"], KEY, "not the one that signs"),
        (["k=ed25519; p=SPKI"], KEY, "not the one that signs"),
        (["p=SPKI", "p=OTHER"], KEY, "2 DKIM keys"),
        (["p=SPKI; t=y"], KEY, "marked as a test"),
        (["p=SPKI"], Key("rsa", 1024, ("SPKI",)), "1024 bits"),
        (["p=SPKI"], Key("rsa", 768, ("SPKI",)), "768 bits"),
    ],
)
def test_dkim(texts, key, wrong):
    found = list(dkim_findings(Answer("s._domainkey.shop.example", tuple(texts)), key))
    assert [wrong in one.wrong for one in found] == ([True] if wrong else [])


@pytest.mark.parametrize(
    ("own", "organization", "levels"),
    [
        (["v=DMARC1; p=reject"], [], []),
        ([], ["v=DMARC1; p=quarantine"], []),
        ([], [], ["error"]),
        (["v=DMARC10; p=none"], [], ["error"]),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], [], ["error"]),
        (["v=DMARC1; rua=mailto:d@shop.example"], [], ["error"]),
        (["v=DMARC1; p=none"], [], ["advice"]),
        (["v=DMARC1; p=none; rua=mailto:d@shop.example"], [], []),
    ],
)
def test_dmarc(own, organization, levels):
    answers = [Answer("_dmarc.n.shop.example", tuple(own))]
    answers.append(Answer("_dmarc.shop.example", tuple(organization)))
    assert [one.level for one in dmarc_findings(answers)] == levels


def test_what_could_not_be_asked_is_never_missing():
    silent = Answer(NAME, why="the name servers took too long")
    for found in (spf_findings(silent), dkim_findings(silent, KEY), dmarc_findings([silent])):
        (one,) = found
        assert one.level == "unknown"
        assert "could not ask" in str(one)


def test_an_objection_says_what_receivers_say_and_what_to_do():
    (one,) = dmarc_findings([Answer("_dmarc.shop.example")])
    assert 'receivers say Gmail "550-5.7.40"' in str(one)
    assert "v=DMARC1; p=none" in str(one)
