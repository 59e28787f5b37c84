"""One recipient's message, as an `EmailMessage` or as the bytes that leave.

A `Composer` is made once for a campaign in each process: it reads and checks the template, encodes the
attachments, and writes the headers that are the same for all. `Composer.compose` returns the bytes that
leave for one recipient; `Composer.email` returns the same bytes, parsed as an `EmailMessage`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from email import message_from_string
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from mailer.compose.attachment import Attachment
from mailer.compose.attachments import Files
from mailer.compose.compiled import Renderer
from mailer.compose.design import Design
from mailer.compose.headers import Headers
from mailer.compose.plan import Plan
from mailer.compose.policy import MAIL, MAIL_UTF8
from mailer.compose.template import Template
from mailer.compose.template.nulls import marks, without_nulls
from mailer.compose.verify import check_head
from mailer.errors import AttachmentError, HeaderError, InputError, TemplateError
from mailer.mail.message import Message, SharedPart
from mailer.mail.recipients import Recipient

_T = TypeVar("_T")
# Language tags whose plan is remembered. Rows with other tags look their variant up each time, so that a
# list of nonsense takes no more memory.
_MAX_TAGS: Final = 500
_UNDEFINED: Final = re.compile(r"'([^']+)' is undefined")
# Not in the digest: what changes from run to run, differs from host to host, or is secret.
_NOT_IN_DIGEST: Final = frozenset({"date", "templates_path", "attachments_path", "secret"})


class Composer:
    """Composes the messages of a `Design`.

    Raises `TemplateError` (file and line) for a template that is missing or broken, and
    `InputError` for values of the design that cannot be used. Do not share one between threads; make
    one in each process.

    *shared* maps digests to the encoded bytes of the parts that messages refer to. *digest* changes
    when the template, a layout that it uses, an attachment or another value of the design changes.
    *files* are the folder and the files that it read. *has_text* says whether the template has a file
    for the text part.

    *like* is a composer of the same template, whose compiled template is used here, too. Only headers,
    attachments and addresses may differ between the two designs.
    """

    def __init__(self, design: Design, like: "Composer | None" = None) -> None:
        self.design = design
        self.headers = Headers(design)
        self.template: Template = like.template if like else Template(design, self.headers.domain)
        self.renderers: dict[str, Renderer] = like.renderers if like else {}
        self.files: tuple[Path, ...] = (
            like.files if like else (self.template.folder.path, *self.template.folder.files())
        )
        self.has_text = "text" in self.template.variant(design.language).sections
        self._files = Files(design, self.template.folder)
        self.shared: Mapping[str, bytes] = self._files.shared
        self._plans: dict[str, Plan] = {}
        self._plan({})
        self.digest = self._digest()

    def email(self, recipient: Recipient) -> EmailMessage:
        """Return exactly what *recipient* gets, as a message to look at.

        ``as_bytes()`` returns the bytes of `compose`. The standard library's policies, generators,
        `copy` and `pickle` work with it as with any other. Raises `TemplateError` with the row's
        number when the row does not fit the template.
        """
        return self._blaming(recipient, self._email)

    def compose(self, recipient: Recipient) -> Message:
        """Return the message to *recipient* as bytes, large parts by reference to `shared`.

        The same bytes each time for the same design, date and row. Raises `TemplateError` with the
        row's number when the row does not fit the template.
        """
        return self._blaming(recipient, self._compose)

    def check(self, recipient: Recipient) -> None:
        """Raise what `compose` would raise for *recipient*, at a part of its cost."""
        self._blaming(recipient, self._check)

    def _blaming(self, recipient: Recipient, do: Callable[[Recipient], _T]) -> _T:
        """Do, and name the row in what is raised."""
        try:
            return do(recipient)
        except AttachmentError as error:
            raise AttachmentError(f"{error} (row {recipient.row})") from error
        except (TemplateError, HeaderError, InputError) as error:
            hint = self._meant(str(error), recipient.fields)
            raise TemplateError(f"{error}{hint} (row {recipient.row})") from error

    def _meant(self, said: str, fields: Mapping[str, object]) -> str:
        """Return a hint at the field that an undefined name may have meant: ``Name`` for ``name``."""
        missing = _UNDEFINED.search(said)
        if missing is None:
            return ""
        known = {_bare(name): name for name in (*self.design.context, *fields)}
        wanted = _bare(missing[1])
        near = [wanted] if wanted in known else get_close_matches(wanted, known, 1)
        if not near:
            return ""
        name = known[near[0]]
        if name.isidentifier():
            return f"; did you mean {name!r}?"
        return f'; did you mean {name!r}, written {{{{ row["{name}"] }}}}?'

    def _email(self, recipient: Recipient) -> EmailMessage:
        made = self._compose(recipient)
        policy = MAIL_UTF8 if recipient.smtputf8 else MAIL
        message = message_from_string(made.joined(self.shared).decode(), policy=policy)
        assert isinstance(message, EmailMessage)
        return message

    def _compose(self, recipient: Recipient) -> Message:
        plan = self._plan(recipient.fields)
        url = self.headers.unsubscribe_url(recipient)
        texts, bodies, encodings = plan.renderer.encoded(self._variables(recipient, url))
        own = self._own(recipient)
        skeleton = plan.skeleton(encodings, own)
        message_id = self.headers.message_id(recipient)
        head = self._head(plan, recipient, texts, url, message_id)
        content: list[bytes | SharedPart] = []
        run = [plan.before, head.encode(), skeleton.pieces[0]]
        for slot, piece in zip(skeleton.slots, skeleton.pieces[1:], strict=True):
            if isinstance(slot, str):
                run += bodies[slot]
            elif own is not None and slot.digest not in self.shared:
                run.append(own.encoded)
            else:
                content += (*run, slot)
                run = []
            run.append(piece)
        content += run
        return Message(
            self.headers.reverse_path(recipient),
            recipient.mailbox,
            tuple(content),
            message_id,
            recipient.smtputf8,
        )

    def _check(self, recipient: Recipient) -> None:
        plan = self._plan(recipient.fields)
        url = self.headers.unsubscribe_url(recipient)
        self.headers.check_own(recipient, url)
        texts = plan.renderer.heads(self._variables(recipient, url))
        self._own(recipient)
        self._head(plan, recipient, texts, url, self.headers.message_id(recipient))

    def _head(
        self,
        plan: Plan,
        recipient: Recipient,
        texts: Mapping[str, str],
        url: str,
        message_id: str,
    ) -> str:
        """Return the header fields that are the recipient's own."""
        head = self.headers.own(recipient, texts["subject"], url, message_id)
        count = self.headers.count + len(plan.header_names)
        for name in plan.header_names:
            head += plan.folded(name, texts[name].strip())
        check_head(head, count, utf8=recipient.smtputf8)
        return head

    def _own(self, recipient: Recipient) -> Attachment | None:
        return self._files.own(recipient.fields) if self.design.attachment_field else None

    def _variables(self, recipient: Recipient, url: str) -> dict[str, Any]:
        """Return the variables of the template for a row; a row's own field replaces one of ours."""
        fields = without_nulls(recipient.fields)
        variables = {
            "row": fields,
            "recipient_id": recipient.key.hex(),
            "unsubscribe_url": url,
            **fields,
        }
        if fields is not recipient.fields:
            variables.update(marks(fields))
        return variables

    def _plan(self, fields: Mapping[str, object]) -> Plan:
        language = fields.get(self.design.language_field) or self.design.language
        plan = self._plans.get(language) if isinstance(language, str) else None
        if plan is None:
            variant = self.template.variant(language)
            plan = self._plans.get(variant.language)
            if plan is None:
                renderer = self.renderers.get(variant.language)
                plan = Plan(variant, self.design, self._files, self.headers, renderer)
                self.renderers[variant.language] = plan.renderer
                self._plans[variant.language] = plan
            if isinstance(language, str) and len(self._plans) < _MAX_TAGS:
                self._plans[language] = plan
        return plan

    def _digest(self) -> str:
        digest = sha256(self.template.digest.encode())
        for part in sorted(self.shared):
            digest.update(part.encode())
        for setting in self._settings():
            digest.update(setting.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()

    def _settings(self) -> Iterator[str]:
        for name in sorted(set(self.design.__slots__) - _NOT_IN_DIGEST):
            value = getattr(self.design, name)
            yield f"{name}={json.dumps(value, sort_keys=True, default=_told)}"


def _bare(name: object) -> str:
    """Return *name* without case, blanks, hyphens and underscores, to compare it with another."""
    return re.sub(r"[\W_]+", "", str(name)).casefold()


def _told(value: object) -> object:
    """Return something that JSON can write, different for different values."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Attachment):
        return value.digest
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return list(value)
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return f"{type(value).__qualname__} {value}"
