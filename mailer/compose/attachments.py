"""Which files go with which message: those of every message, and the one that a row names."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from mailer.compose.attachment import Attachment
from mailer.compose.design import Design
from mailer.compose.template.folder import Folder
from mailer.compose.tree import Inline
from mailer.errors import AttachmentError, InputError
from mailer.mail.message import SharedPart

# Files that rows named and that are kept. Many rows name the file of their region or plan; a file for
# one person is not asked for again.
_OWN_KEPT: Final = 64


class Files:
    """The files of a design.

    *attachments* and *inline* are those of every message; `own` reads the one that a row names. Raises
    `InputError` for an *attachment_field* without *attachments_path*: a row could name any file.
    """

    def __init__(self, design: Design, folder: Folder) -> None:
        self.attachments = tuple(design.attachments)
        self._folder = folder
        self._field = design.attachment_field
        if design.attachment_field and design.attachments_path is None:
            raise InputError(
                "attachment_field wants attachments_path, the folder that rows may name files of"
            )
        self._root = (design.attachments_path or Path()).resolve()
        self._read = lru_cache(_OWN_KEPT)(self._read_own)

    @cached_property
    def inline(self) -> tuple[Inline, ...]:
        """The images that the HTML shows, each with its Content-ID."""
        folder = self._folder
        return tuple(Inline(folder.images[n], folder.content_id(n)) for n in folder.images)

    @cached_property
    def shared(self) -> dict[str, bytes]:
        """The encoded bytes of the files of every message, by digest."""
        every = [*self.attachments, *(image.attachment for image in self.inline)]
        return {SharedPart.of(file.encoded).digest: file.encoded for file in every}

    def own(self, fields: Mapping[str, object]) -> Attachment | None:
        """Return the file that the row names, or None when it names none.

        Raises `AttachmentError` when it is not below the design's *attachments_path*.
        """
        name = fields.get(self._field) if self._field else None
        if name is None or name == "":
            return None
        if not isinstance(name, str):
            raise AttachmentError(f"the field {self._field!r} must name a file")
        return self._read(name)

    def _read_own(self, name: str) -> Attachment:
        try:
            path = (self._root / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a NUL, links in a circle
            raise AttachmentError(f"the file {ascii(name)[:80]} cannot be found") from error
        if not path.is_relative_to(self._root):
            raise AttachmentError(f"the file {name!r} is not below {self._root}")
        return Attachment.from_path(path)
