"""What a mail expert would object to in a template.

It looks at one recipient's finished message, as a receiver would, and at the campaign's design. An
*error* keeps mail from arriving, or breaks it; a *warning* costs readers; an *advice* is a matter of
taste, with a reason. Each finding names its rule, so that it can be looked up in docs/templates.md.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from html import unescape
from typing import Final, Literal, cast

from mailer.compose.composer import Composer
from mailer.compose.spans import ENDS, TAGS, Span, attributes, spans
from mailer.compose.verify import faults
from mailer.errors import MailerError
from mailer.mail.receivers.setup import bulk_findings, sender_findings
from mailer.mail.recipients import Recipient

Level = Literal["error", "warning", "advice"]

# Octets. Gmail cuts a message off at 102 KB of HTML; the rest, with the link to unsubscribe, is behind a
# link of Gmail's.
_CLIPPED_AT: Final = 102 * 1024
# Characters. A phone shows about 40 of a subject, a desktop about 70.
_LONG_SUBJECT: Final = 60
# Octets of a whole message.
_LARGEST: Final = 10 * 1024 * 1024
_VOID: Final = frozenset({"img", "br", "hr", "meta", "link", "input", "col", "area", "base", "wbr"})
_ACTIVE: Final = frozenset({"script", "form", "iframe", "object", "embed", "video", "audio"})
_SHOUTING: Final = re.compile(r"!{2,}|\b[A-Z]{5,}\b.*\b[A-Z]{5,}\b")
_VAGUE_LINKS: Final = frozenset({"click here", "here", "hier", "hier klicken", "link", "read more"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One objection: how grave, by which *rule*, in words, and *where* (a part, a tag, a URL)."""

    level: Level
    rule: str
    message: str
    where: str


def lint(composer: Composer, recipient: Recipient) -> list[Finding]:
    """Return what there is to object to, the gravest first.

    A template that cannot be rendered for *recipient* is a finding, too; nothing is raised for it.
    """
    try:
        message = composer.email(recipient)
        content = composer.compose(recipient).joined(composer.shared)
    except MailerError as error:
        return [Finding("error", "renders", str(error), "template")]
    inspected = Inspected(composer, message, content)
    found = [finding for rule in _RULES for finding in rule(inspected)]
    return _gravest_first(found)


def lint_as_received(
    composer: Composer, recipient: Recipient, signing: Sequence[str]
) -> list[Finding]:
    """Return what `lint` objects to, and what receivers would, the gravest first.

    *signing* are the domains for which the accounts have DKIM keys.
    """
    seen = lint(composer, recipient)
    if any(finding.rule == "renders" for finding in seen):
        return seen
    received = _received(composer, recipient, signing)
    return _gravest_first([*seen, *received])


def _received(composer: Composer, recipient: Recipient, signing: Sequence[str]) -> list[Finding]:
    message = composer.email(recipient)
    design, sender = composer.design, str(message["From"])
    # That no key is configured is no fault of a message: the server may sign. `accounts check` says it.
    found = [
        one
        for one in sender_findings(sender, design.return_path or sender, signing)
        if one.rule != "dkim-here"
    ]
    if design.bulk:
        fields = {name.lower(): str(value) for name, value in message.items()}
        found += bulk_findings(fields, sender)
    return [Finding(cast("Level", one.level), one.rule, str(one), "campaign") for one in found]


def _gravest_first(found: list[Finding]) -> list[Finding]:
    """Return *found*, errors first; those of one level in the order of the rules."""
    order: dict[Level, int] = {"error": 0, "warning": 1, "advice": 2}
    return sorted(found, key=lambda finding: order[finding.level])


class Inspected:
    """What is looked at: the message, its bytes, and the tags and links of its HTML."""

    def __init__(self, composer: Composer, message: EmailMessage, content: bytes) -> None:
        self.design = composer.design
        self.message = message
        self.content = content
        html = message.get_body(("related", "html"))
        if html is not None and html.get_content_type() == "multipart/related":
            html = message.get_body(("html",))
        self.html: str | None = html.get_content() if isinstance(html, EmailMessage) else None
        self.page = Page(self.html or "")
        self.has_own_text = composer.has_text


class Page:
    """The tags of an HTML document, its links with their text, and the end tags that end nothing."""

    def __init__(self, document: str = "") -> None:
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.links: list[tuple[str, str]] = []
        self.words = 0
        self.has_title = False
        self._open: Counter[str] = Counter()
        self._order: list[str] = []
        self._link: tuple[str, list[str]] | None = None
        self.unopened: list[str] = []
        end = 0
        for span in spans(document, TAGS, ENDS):
            self._words(document[end : span.start])
            self._take(span)
            end = span.end
        self._words(document[end:])

    def _take(self, span: Span) -> None:
        tag = (span.opening["name"] or span.kind).lower()
        if span.kind == "comment":
            return
        if span.opening["slash"]:
            self._end(tag)
            return
        found = span.opening["attributes"] or span.opening[0][len(tag) + 1 : -1]
        self._begin(tag, attributes(found))
        if span.kind == "tag":
            if tag not in _VOID:
                self._open[tag] += 1
                self._order.append(tag)
        elif tag == "title":
            self.has_title = self.has_title or bool(span.content.strip())

    def _begin(self, tag: str, found: dict[str, str]) -> None:
        self.tags.append((tag, found))
        if tag == "a" and "href" in found:
            self._link = (found["href"], [])
        if tag == "img" and self._link:
            self._link[1].append(found.get("alt", ""))

    def _end(self, tag: str) -> None:
        if tag == "a" and self._link:
            self.links.append((self._link[0], " ".join(" ".join(self._link[1]).split())))
            self._link = None
        if self._open[tag]:
            while (last := self._order.pop()) != tag:
                self._open[last] -= 1
            self._open[tag] -= 1
        elif tag not in _VOID:
            self.unopened.append(f"</{tag}>")

    def _words(self, data: str) -> None:
        self.words += len(data.split())
        if self._link and data:
            self._link[1].append(unescape(data))

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every *tag*."""
        return [attributes for name, attributes in self.tags if name == tag]


Rule = Callable[[Inspected], Iterator[Finding]]


def _bytes(it: Inspected) -> Iterator[Finding]:
    for fault in faults(it.content, utf8=True):
        yield Finding("error", "bytes", fault, "message")
    if len(it.content) > _LARGEST:
        size = len(it.content) / 1024 / 1024
        yield Finding("warning", "size", f"{size:.1f} MB; many servers refuse 10", "message")


def _parts(it: Inspected) -> Iterator[Finding]:
    if it.html is None:
        yield Finding("advice", "html-part", "there is no body.html", "template")
        return
    if not it.has_own_text:
        yield Finding(
            "advice", "text-part", "no body.txt: the text is made from the HTML", "template"
        )
    size = len(it.html.encode())
    if size > _CLIPPED_AT:
        yield Finding(
            "warning", "clipped", f"{size // 1024} KB of HTML; Gmail clips at 102", "body.html"
        )
    if it.page.unopened:
        tags = ", ".join(it.page.unopened[:3])
        yield Finding("warning", "well-formed", f"ends what was not begun: {tags}", "body.html")


def _images(it: Inspected) -> Iterator[Finding]:
    images = it.page.all("img")
    for image in images:
        source = image.get("src", "")
        if "alt" not in image:
            yield Finding("warning", "alt", 'an image without alt (alt="" hides it)', source)
        if source.startswith("http://"):
            yield Finding("warning", "https", "an image without https is not shown", source)
        elif source.startswith("data:"):
            yield Finding("warning", "data-url", "Gmail and Outlook show no data: images", "img")
        elif not source.startswith(("https://", "cid:")):
            yield Finding("error", "image-source", "an image that no reader can load", source)
    if images and it.page.words < 20 * len(images):
        yield Finding("warning", "mostly-images", "little text for its images", "body.html")


def _links(it: Inspected) -> Iterator[Finding]:
    for target, text in it.page.links:
        if target.startswith("http://"):
            yield Finding("warning", "https", "a link without https", target)
        elif not target or not re.match(r"(https|mailto|tel|sms):|#", target):
            yield Finding("error", "link-target", "a link that leads nowhere from a mail", target)
        if not text:
            yield Finding("warning", "link-text", "a link without text", target)
        elif text.casefold() in _VAGUE_LINKS:
            yield Finding("advice", "link-text", f"a link that only says {text!r}", target)


def _markup(it: Inspected) -> Iterator[Finding]:
    for tag in sorted({name for name, _ in it.page.tags} & _ACTIVE):
        yield Finding("error", "active", f"mail readers strip <{tag}>; many refuse it", tag)
    if it.page.all("link"):
        yield Finding("warning", "external-css", "mail readers load no style sheets", "link")
    if it.html is not None:
        if not any("lang" in html for html in it.page.all("html")):
            yield Finding("advice", "lang", "<html> without lang: screen readers guess", "html")
        if not it.page.has_title:
            yield Finding("advice", "title", "there is no <title>", "head")
        viewports = [m for m in it.page.all("meta") if m.get("name") == "viewport"]
        if not viewports:
            yield Finding("warning", "viewport", "no viewport: phones shrink the page", "head")


def _subject(it: Inspected) -> Iterator[Finding]:
    text = str(it.message["Subject"])
    if not text:
        yield Finding("error", "subject", "the subject is empty", "Subject")
    elif len(text) > _LONG_SUBJECT:
        yield Finding(
            "warning", "subject-length", f"{len(text)} characters; phones show about 40", "Subject"
        )
    if _SHOUTING.search(text):
        yield Finding("warning", "shouting", "capitals or !! look like spam", "Subject")
    if re.match(r"(re|fwd?|aw|wg)\s*:", text, re.IGNORECASE):
        yield Finding("warning", "false-reply", "looks like an answer that it is not", "Subject")


def _unsubscribe(it: Inspected) -> Iterator[Finding]:
    if not it.design.bulk:
        return
    if "List-Unsubscribe" not in it.message:
        yield Finding(
            "error", "unsubscribe", "bulk mail without List-Unsubscribe is refused", "campaign"
        )
    elif "List-Unsubscribe-Post" not in it.message:
        yield Finding("warning", "one-click", "no one-click unsubscribing (RFC 8058)", "campaign")
    unsubscribing = re.compile(
        r"unsubscri|abmeld|abbestell|opt.?out|désabonn|desuscrib", re.IGNORECASE
    )
    links = [target + " " + text for target, text in it.page.links]
    if it.html is not None and not any(map(unsubscribing.search, links)):
        yield Finding("error", "unsubscribe-link", "no visible link to unsubscribe", "body.html")


_RULES: Final[tuple[Rule, ...]] = (
    _bytes,
    _parts,
    _images,
    _links,
    _markup,
    _subject,
    _unsubscribe,
)
