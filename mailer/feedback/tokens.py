"""Which message a report is about: the proofs that it gives back, the strongest first."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from mailer.compose.headers import VERP_PROOF, verp_key
from mailer.compose.unsubscribe import TokenSigner, Unsubscribed
from mailer.errors import InputError
from mailer.feedback.report import Report
from mailer.mail.recipients import fingerprint
from mailer.mail.seal import KEY_OCTETS, TAG_OCTETS, Seal, campaign_tag, message_hash

_LETTERS: Final = re.compile(r"[A-Za-z2-7]{32}\Z")
_OLD_LETTERS: Final = re.compile(r"[A-Za-z2-7]{24}\Z")
_URL_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{40,600}(?:\.[A-Za-z0-9_-]{43})?")
_MAX_TRIED: Final = 8


@dataclass(frozen=True, slots=True)
class Match:
    """The message of *campaign* to the recipient with that *key*, and by which *proof* it was found."""

    campaign: str
    key: bytes
    proof: str


class Tokens:
    """Reads what was sent under any of *secrets*, for the *campaigns* that are known."""

    def __init__(self, secrets: Sequence[str], campaigns: Iterable[str]) -> None:
        self._secrets = secrets
        self._campaigns = {campaign_tag(name): name for name in campaigns}
        self._signers = [TokenSigner(secret) for secret in secrets]
        self._seals = [Seal(secret, "verp", VERP_PROOF) for secret in secrets]

    def find(self, report: Report) -> Match | None:
        """The message that *report* proves to be about; None where it proves nothing."""
        return next(self._found(report), None)

    def address(self, mailbox: str) -> Match | None:
        """The message of which *mailbox* is the return path."""
        token = mailbox.rpartition("@")[0].rpartition("+")[2]
        return self._verp(token) or self._old_verp(mailbox, token)

    def leaver(self, report: Report) -> Unsubscribed | None:
        """Who asks by mail to get nothing more; also where Redis has forgotten the campaign."""
        return next(self._said(report.trace.unsubscribe or ""), None)

    def _found(self, report: Report) -> Iterator[Match]:
        trace = report.trace
        addresses = [*trace.envelope, *([trace.return_path] if trace.return_path else ())]
        found = [self.address(one) for one in addresses[:_MAX_TRIED]]
        found.append(self._verp(trace.envelope_id or ""))
        yield from (one for one in found if one)
        yield from self._unsubscribe(trace.unsubscribe or "")
        # ENVID is our Message-ID (`mailer.deliver.content`), and stands where its headers are cut off.
        for identity in (trace.envelope_id, trace.message_id):
            if match := self._message_id(identity or "", report.recipient):
                yield match

    def _verp(self, token: str) -> Match | None:
        if not _LETTERS.match(token):
            return None
        octets = base64.b32decode(token.upper())
        for seal in self._seals:
            words = seal.open(octets)
            campaign = self._campaigns.get(words[:TAG_OCTETS]) if words else None
            if words and campaign:
                return Match(campaign, words[TAG_OCTETS:], "verp")
        return None

    def _old_verp(self, mailbox: str, token: str) -> Match | None:
        """Version 0.1.0's did not name the campaign: each is tried."""
        if not _OLD_LETTERS.match(token):
            return None
        for campaign in self._campaigns.values():
            for secret in self._secrets:
                try:
                    return Match(campaign, verp_key(mailbox, campaign, secret)[:KEY_OCTETS], "verp")
                except InputError:
                    continue
        return None

    def _unsubscribe(self, field: str) -> Iterator[Match]:
        for said in self._said(field):
            if campaign_tag(said.campaign) in self._campaigns:
                yield Match(said.campaign, fingerprint(said.mailbox), "unsubscribe")

    def _said(self, field: str) -> Iterator[Unsubscribed]:
        for token in _URL_TOKEN.findall(field)[:_MAX_TRIED]:
            for signer in self._signers:
                with suppress(InputError, binascii.Error):
                    yield signer.read(token)

    def _message_id(self, message_id: str, recipient: str | None) -> Match | None:
        local = message_id.strip("<>").partition("@")[0].lower()
        if recipient is None or len(local) != 24:
            return None
        key = fingerprint(recipient)
        for campaign in self._campaigns.values():
            for secret in self._secrets:
                digest = message_hash(secret, campaign)
                digest.update(key)
                if digest.hexdigest() == local:
                    return Match(campaign, key, "message_id")
        return None
