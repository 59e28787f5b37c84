# ruff: noqa: E501, RUF001 - what servers write stands as they write it
"""Messages as servers write them when something comes back: made here, by the formats' descriptions."""

from collections.abc import Iterator
from typing import NamedTuple

MEGABYTE = 1 << 20

HEAD = (
    "Return-Path: <>\r\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.net>\r\n"
    "To: news@shop.example\r\nSubject: Undelivered Mail Returned to Sender\r\n"
)
ORIGINAL = (
    "Return-Path: <news@shop.example>\r\nFrom: Shop <news@shop.example>\r\nTo: ada@example.org\r\n"
    "Subject: Spring\r\nMessage-ID: <1234@shop.example>\r\n"
    "List-Unsubscribe: <https://shop.example/u/abc>\r\n"
)


def dsn(
    fields: str,
    text: str = "It failed.",
    *,
    returned: str = ORIGINAL,
    type_: str = "delivery-status",
) -> bytes:
    """A multipart/report with *fields* per recipient."""
    return (
        f'{HEAD}Content-Type: multipart/report; report-type={type_};\r\n\tboundary="b 1"\r\n\r\n'
        f"--b 1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        f"--b 1\r\nContent-Type: message/{type_}\r\n\r\n{fields}\r\n"
        f"--b 1\r\nContent-Type: text/rfc822-headers\r\n\r\n{returned}\r\n--b 1--\r\n"
    ).encode()


def failed(reply: str, *, status: str = "5.0.0", recipient: str = "ada@example.org") -> bytes:
    """A DSN about one recipient, with what its server said."""
    return dsn(
        "Reporting-MTA: dns; mx.example.net\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {reply}\r\n"
    )


def notice(
    text: str, *, sender: str = "MAILER-DAEMON@mx.example.net", subject: str = "Failure"
) -> bytes:
    """A notice in words."""
    return (
        f"Return-Path: <>\nFrom: {sender}\nTo: news@shop.example\nSubject: {subject}\n"
        f"Content-Type: text/plain; charset=utf-8\n\n{text}\n"
    ).encode()


def answer(text: str, *, subject: str = "Re: Spring", headers: str = "") -> bytes:
    """A mail from a person's mailbox, by a program or by hand."""
    return (
        f"Return-Path: <zoe@example.org>\nFrom: Zoe <zoe@example.org>\nTo: news@shop.example\n"
        f"Subject: {subject}\n{headers}Content-Type: text/plain; charset=utf-8\n\n{text}\n"
    ).encode()


def complaint(type_: str, fields: str = "", returned: str = ORIGINAL) -> bytes:
    """A report of a feedback loop (RFC 5965)."""
    body = f"Feedback-Type: {type_}\r\nUser-Agent: Loop/1\r\nVersion: 1\r\n{fields}"
    return dsn(body, returned=returned, type_="feedback-report")


class Case(NamedTuple):
    """A notice in words, and what it means."""

    name: str
    octets: bytes
    reason: str
    permanent: bool


NOTICES = [
    Case("qmail", notice(
        "Hi. This is the qmail-send program at mx.example.net.\nI'm afraid I wasn't able to deliver your "
        "message to the following addresses.\nThis is a permanent error; I've given up.\n\n"
        "<ada@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
        "--- Below this line is a copy of the message.\n\nReturn-Path: <news@shop.example>\n"
        "Message-ID: <1234@shop.example>\n", subject="failure notice"), "mailbox_unknown", True),
    Case("Exim", notice(
        "A message that you sent could not be delivered to one or more of its\nrecipients. This is a "
        "permanent error. The following address(es) failed:\n\n  ada@example.org\n    host mx.example.org "
        "[192.0.2.1]\n    SMTP error from remote mail server after RCPT TO:<ada@example.org>:\n    552 5.2.2 "
        "Mailbox is over quota\n\n------ This is a copy of your message, including all the headers. ------\n"),
        "mailbox_full", False),
    Case("sendmail", notice(
        "   ----- The following addresses had permanent fatal errors -----\n<ada@example.org>\n"
        "    (reason: 550 Host unknown)\n\n   ----- Transcript of session follows -----\n"
        "550 5.1.2 <ada@example.org>... Host unknown (Name server: example.org: host not found)\n",
        subject="Returned mail: see transcript for details"), "domain_unknown", True),
    Case("Exchange 2003", notice(
        "Your message\n\n  To:      ada@example.org\n  Subject: Spring\n\ndid not reach the following "
        "recipient(s):\n\nada@example.org on Tue, 3 Mar 2026 09:00:00 +0000\n    The recipient name is not "
        "recognized\n", sender="System Administrator <postmaster@example.org>",
        subject="Undeliverable: Spring"), "mailbox_unknown", True),
    Case("Domino", notice(
        "Your message\n\n  Subject: Spring\n\nwas not delivered to:\n\n  ada@example.org\n\nbecause:\n\n"
        "  User ada (ada@example.org) not listed in Domino Directory\n", sender="Postmaster@example.org",
        subject="DELIVERY FAILURE: User ada not listed"), "mailbox_unknown", True),
    Case("German", notice(
        "Ihre Nachricht konnte nicht zugestellt werden.\n\nEmpfänger: ada@example.org\nGrund: Das Postfach ist "
        "voll.\n", subject="Unzustellbar: Spring"), "mailbox_full", False),
    Case("French", notice(
        "Votre message n'a pas pu être remis au destinataire suivant :\n\n<ada@example.org>\n"
        "L'adresse du destinataire est inconnue.\n", subject="Échec de la remise"), "mailbox_unknown", True),
    Case("Spanish", notice(
        "No se pudo entregar su mensaje a:\n\n  ada@example.org\n\nEl usuario no existe.\n",
        subject="Mensaje devuelto"), "mailbox_unknown", True),
    Case("Italian", notice(
        "Impossibile consegnare il messaggio a:\n\n  ada@example.org\n\nLa casella è piena.\n",
        subject="Mancata consegna"), "mailbox_full", False),
    Case("Portuguese", notice(
        "Sua mensagem não pôde ser entregue a:\n\n  ada@example.org\n\nUsuário desconhecido.\n",
        subject="Falha na entrega"), "mailbox_unknown", True),
    Case("Russian", notice(
        "Ваше письмо не доставлено:\n\n  ada@example.org\n\nПользователь не найден.\n",
        subject="Недоставленное сообщение"), "mailbox_unknown", True),
    Case("Polish", notice(
        "Nie można dostarczyć wiadomości do:\n\n  ada@example.org\n\nUżytkownik nie istnieje.\n",
        subject="Wiadomość niedostarczona"), "mailbox_unknown", True),
    Case("Dutch", notice(
        "Uw bericht kon niet worden afgeleverd bij:\n\n  ada@example.org\n\nOntvanger onbekend.\n",
        subject="Onbestelbaar: Spring"), "mailbox_unknown", True),
    Case("Swedish", notice(
        "Ditt meddelande kunde inte levereras till:\n\n  ada@example.org\n\nMottagaren finns inte.\n",
        subject="Det gick inte att leverera"), "mailbox_unknown", True),
    Case("Chinese", notice(
        "您的邮件被退回，无法投递到以下收件人：\n\n  ada@example.org\n\n收件人不存在。\n",
        subject="系统退信"), "mailbox_unknown", True),
    Case("Japanese", notice(
        "次の宛先へ配信できませんでした。\n\n  ada@example.org\n\n宛先のメールアドレスが見つかりません。\n",
        subject="配信エラー"), "mailbox_unknown", True),
]  # fmt: skip

REPLIES = [
    ("550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in local recipient table", "mailbox_unknown"),
    ("552 5.2.2 The email account that you tried to reach is over quota", "mailbox_full"),
    ("550 5.2.1 The email account that you tried to reach is disabled", "mailbox_disabled"),
    ("551 5.1.6 Recipient has moved to another address", "mailbox_moved"),
    ("550 5.4.4 Host or domain name not found. Name service error for name=example.org type=MX: Host not found", "domain_unknown"),
    ("556 5.1.10 Domain does not accept mail (nullMX)", "domain_unknown"),
    ("554 5.7.1 <ada@example.org>: Relay access denied", "relay_denied"),
    ("550 5.7.515 Access denied, sending domain SHOP.EXAMPLE does not meet the required authentication level", "sender_refused"),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "sender_refused"),
    ("550 5.7.26 This mail has been blocked because the sender is unauthenticated", "sender_refused"),
    ("554 5.7.1 Message content rejected as spam", "content_refused"),
    ("550 5.7.0 Our system detected an illegal attachment on your message", "content_refused"),
    ("552 5.3.4 Message size exceeds fixed limit", "too_large"),
    ("421 4.7.0 Too many connections from your host", "rate_limited"),
    ("451 4.3.0 Internal server error", "server_trouble"),
    ("554 5.4.6 Too many hops", "network"),
    ("550 4.4.7 Message expired", "expired"),
    ("501 5.5.4 Syntax error in parameters", "protocol"),
]  # fmt: skip

VACATIONS = [
    answer("I am out of the office until Monday.", subject="Automatic reply: Spring", headers="Auto-Submitted: auto-replied\n"),
    answer("Ich bin bis 20. März nicht im Haus.", subject="Abwesenheitsnotiz"),
    answer("Je suis en congé.", subject="Réponse automatique : Spring"),
    answer("Estoy de vacaciones.", subject="Respuesta automática: Spring"),
    answer("Sono in ferie.", subject="Risposta automatica: Spring"),
    answer("Estou de férias.", subject="Resposta automática: Spring"),
    answer("Я в отпуске.", subject="Автоответ: Spring"),
    answer("Jestem na urlopie.", subject="Automatyczna odpowiedź: Spring"),
    answer("Ik ben op vakantie.", subject="Automatisch antwoord: Spring"),
    answer("Jag är på semester.", subject="Autosvar: Spring"),
    answer("休暇中です。", subject="自動返信: Spring"),
    answer("我正在休假。", subject="自动回复: Spring"),
    answer("> 550 5.1.1 user unknown\nYour ticket is open.", subject="[Ticket #5] Delivery problem", headers="Auto-Submitted: auto-generated\n"),
    answer("Zoe works no longer here; her mailbox zoe@example.org does not exist. 550 is our house number.", subject="Automatische Antwort: Undeliverable: Spring", headers="Auto-Submitted: auto-replied\n"),
    answer("Zoe has left the company and this address is no longer in use.", subject="Automatic reply: Spring"),
]  # fmt: skip


def _nested() -> bytes:
    parts = (
        f'--b{depth}\nContent-Type: multipart/mixed; boundary="b{depth + 1}"\n\n'
        for depth in range(9000)
    )
    return (HEAD + 'Content-Type: multipart/mixed; boundary="b0"\n\n' + "".join(parts)).encode()


_FIELDS = "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.0.0\n"

ADVERSARIES = {
    "blanks": HEAD.encode() + b"\n450 rate limit exceeded, try again" + b" " * MEGABYTE,
    "at signs": HEAD.encode() + b"\n" + b"a@" * (MEGABYTE // 2),
    "open tags": HEAD.encode() + b"Content-Type: text/html\n\n" + b"<style" * (MEGABYTE // 6),
    "blank lines": HEAD.encode() + b"\n" + b"\n" * MEGABYTE,
    "parts": HEAD.encode() + b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\nx\n" * (MEGABYTE // 7),
    "nested parts": _nested(),
    "headers": b"A: b\n" * (MEGABYTE // 5),
    "folded header": b"A: b\n" + b" x\n" * (MEGABYTE // 3),
    "encoded words": b"Subject: " + b"=?utf-8?q?" * (MEGABYTE // 10),
    "parameters": b"Content-Type: a;" + b"x=y;" * (MEGABYTE // 4),
    "groups": dsn((_FIELDS + "\n") * (MEGABYTE // 70)),
    "a long diagnostic": dsn(_FIELDS + "Diagnostic-Code: smtp; 550 " + "user " * (MEGABYTE // 5)),
    "recipients": HEAD.encode() + b"\ncould not be delivered\n"
    + b"".join(b"<u%d@e.example>: 550 user unknown\n" % number for number in range(28_000)),
    "words before an address": HEAD.encode() + b"\n" + (b"recipient address " * 50 + b"x@y.example\n") * 1100,
    "a quadratic codec": HEAD.encode() + b"Content-Type: text/plain; charset=punycode\n\n" + b"a" * MEGABYTE,
    "deep JSON": b"From: x@sns.amazonaws.com\n\n" + b"[" * MEGABYTE,
    "dashes": HEAD.encode() + b"\n" + b"-" * MEGABYTE,
}  # fmt: skip


def ordinary() -> Iterator[bytes]:
    """What an ordinary day brings."""
    yield from (case.octets for case in NOTICES)
    yield from (failed(reply) for reply, _ in REPLIES)
    yield from VACATIONS
    yield complaint("abuse", "Original-Rcpt-To: ada@example.org\r\n")
