"""Whether the records are there that prove a sender: SPF, DKIM's key, DMARC, as the DNS answered.

An `Answer` without texts and without *why* says that there is none. One with *why* says that it could
not be asked: that is never an objection.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mailer.mail.receivers.finding import (
    DKIM_FAILED,
    DMARC_FAILED,
    SPF_FAILED,
    Finding,
    Level,
)

# RFC 7208 section 4.6.4: a receiver gives up after so many.
_MOST_LOOKUPS: Final = 10
_ASKS: Final = re.compile(
    r"[+?~-]?(?:include:|exists:|(?:a|mx|ptr)(?:[:/]|$))|redirect=", re.IGNORECASE
)
_WANTED_BITS: Final = 2048
_LEAST_BITS: Final = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """The texts at *name*; *why* it could not be asked, empty where it could."""

    name: str
    texts: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """The public half of a key that signs: *algorithm* (rsa, ed25519), its *bits*.

    *forms* are the ways in which it may stand in ``p=``, in base64.
    """

    algorithm: str
    bits: int
    forms: tuple[str, ...]


def spf_findings(answer: Answer) -> Iterator[Finding]:
    """Judge the SPF record of a return path's domain (RFC 7208)."""
    found = [text for text in answer.texts if text.lower().split(" ")[0] == "v=spf1"]
    name = answer.name
    if answer.why:
        yield _unknown("spf", answer)
    elif not found:
        do = f'publish a TXT at {name}: "v=spf1 include:<your server\'s> ~all"'
        yield Finding("error", "spf", f"{name} has no SPF record", SPF_FAILED, do)
    elif len(found) > 1:
        wrong = f"{name} has {len(found)} SPF records, which count as none"
        yield Finding("error", "spf", wrong, SPF_FAILED, "make one of them")
    else:
        yield from _spf(name, found[0])


def _spf(name: str, record: str) -> Iterator[Finding]:
    terms = record.split()[1:]
    lookups = sum(bool(_ASKS.match(term)) for term in terms)
    if lookups > _MOST_LOOKUPS:
        wrong = f"the SPF record of {name} asks {lookups} times; receivers give up after 10"
        yield Finding("error", "spf", wrong, SPF_FAILED, "name fewer others")
    if any(term.lower() in ("all", "+all") for term in terms):
        wrong = f"the SPF record of {name} lets everybody send (+all)"
        yield Finding("warning", "spf", wrong, "", "end it with ~all")


def dkim_findings(answer: Answer, key: Key) -> Iterator[Finding]:
    """Judge the record that receivers check signatures of *key* by (RFC 6376 section 3.6.1)."""
    name = answer.name
    found = [tags for text in answer.texts if "p" in (tags := _tags(text))]
    published = re.sub(r"\s", "", found[0]["p"]) if found else ""
    if answer.why:
        yield _unknown("dkim", answer)
        return
    do = f'publish a TXT at {name}: "v=DKIM1; k={key.algorithm}; p={key.forms[0]}"'
    if not found:
        yield Finding("error", "dkim", f"{name} has no DKIM key", DKIM_FAILED, do)
    elif len(found) > 1:
        wrong = f"{name} has {len(found)} DKIM keys; which one counts is undefined"
        yield Finding("error", "dkim", wrong, DKIM_FAILED, "keep the one that signs")
    elif not published:
        yield Finding("error", "dkim", f"the DKIM key at {name} is revoked (p=)", DKIM_FAILED, do)
    elif found[0].get("k", "rsa").lower() != key.algorithm or published not in key.forms:
        wrong = f"the DKIM key at {name} is not the one that signs here"
        yield Finding("error", "dkim", wrong, DKIM_FAILED, do)
    else:
        yield from _strength(name, key, found[0])


def _strength(name: str, key: Key, tags: dict[str, str]) -> Iterator[Finding]:
    if key.algorithm == "rsa" and key.bits < _WANTED_BITS:
        level: Level = "advice" if key.bits >= _LEAST_BITS else "error"
        wrong = f"the DKIM key at {name} has {key.bits} bits"
        says = "" if key.bits >= _LEAST_BITS else DKIM_FAILED
        yield Finding(level, "dkim", wrong, says, "make one of 2048 under another selector")
    if "y" in tags.get("t", "").lower().split(":"):
        wrong = f"the DKIM key at {name} is marked as a test (t=y)"
        yield Finding("warning", "dkim", wrong, "", "take t=y out")


def dmarc_findings(answers: Sequence[Answer]) -> Iterator[Finding]:
    """Judge the DMARC record of From: *answers* of its domain, then of its organization's."""
    for answer in answers:
        found = [text for text in answer.texts if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]
        if answer.why:
            yield _unknown("dmarc", answer)
            return
        if found:
            yield from _dmarc(answer.name, found)
            return
    names = " or ".join(answer.name for answer in answers)
    do = f'publish a TXT at {answers[-1].name}: "v=DMARC1; p=none; rua=mailto:<a mailbox of yours>"'
    yield Finding("error", "dmarc", f"no DMARC record at {names}", DMARC_FAILED, do)


def _dmarc(name: str, found: Sequence[str]) -> Iterator[Finding]:
    policy = _tags(found[0]).get("p", "").lower()
    if len(found) > 1:
        wrong = f"{len(found)} DMARC records at {name}, which count as none"
        yield Finding("error", "dmarc", wrong, DMARC_FAILED, "keep one")
    elif policy not in ("none", "quarantine", "reject"):
        wrong = f"the DMARC record at {name} has no policy"
        yield Finding("error", "dmarc", wrong, DMARC_FAILED, "add p=none, or a stricter one")
    elif policy == "none" and "rua" not in _tags(found[0]):
        wrong = f"the DMARC record at {name} asks for no reports"
        yield Finding("advice", "dmarc", wrong, "", "add rua=mailto:<a mailbox of yours>")


def _unknown(rule: str, answer: Answer) -> Finding:
    wrong = f"could not ask for {answer.name}: {answer.why}"
    return Finding("unknown", rule, wrong, "", "nothing is said of it; ask again")


def _tags(text: str) -> dict[str, str]:
    """Return the tags of a record such as ``v=DKIM1; p=…``."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, gap, value in pairs if gap}
