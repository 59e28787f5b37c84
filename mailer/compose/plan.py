"""What messages of one language variant have in common.

That is: how their bodies are rendered, the skeleton that the bodies go into, the headers that are the
same for all, and the names of those that the template sets.
"""

from functools import lru_cache
from typing import Any, Final

from mailer.compose import tree
from mailer.compose.attachment import Attachment
from mailer.compose.attachments import Files
from mailer.compose.compiled import Encodings, Renderer
from mailer.compose.design import Design
from mailer.compose.headers import Headers, check_extra, check_single
from mailer.compose.policy import fold_field
from mailer.compose.template import Variant
from mailer.compose.template.nulls import without_nulls

_SKELETONS_KEPT: Final = 64
_FIELDS_KEPT: Final = 1024


class Plan:
    """One variant of a design's template, ready to make messages.

    *renderer* is that of another composer of the same template; None makes a new one. Raises
    `HeaderError` for a header that the template may not set, or that would stand twice.
    """

    def __init__(
        self,
        variant: Variant,
        design: Design,
        files: Files,
        headers: Headers,
        renderer: Renderer | None = None,
    ) -> None:
        self.header_names = variant.header_names
        for name in self.header_names:
            check_extra(name)
        check_single([*headers.names, *self.header_names])
        shared: dict[str, Any] = {"campaign": design.campaign, **without_nulls(design.context)}
        self.renderer = renderer or Renderer(variant, shared)
        self._files = files
        self._named = (design.campaign, design.template)
        self.before = headers.before.encode("ascii")
        self.after = headers.after.encode("ascii")
        self.skeleton = lru_cache(_SKELETONS_KEPT)(self._skeleton)
        # Kept, because such a header has few different values, and may have any structure to fold.
        self.folded = lru_cache(_FIELDS_KEPT)(fold_field)

    def _skeleton(self, encodings: Encodings, own: Attachment | None) -> tree.Skeleton:
        """Return the skeleton of messages whose bodies are in *encodings*, with *own* attached.

        It begins with the constant headers that come after the recipient's own.
        """
        bodies = {
            section: tree.Body("plain" if section == "text" else section, encoding, "")
            for section, encoding in zip(self.renderer.bodies, encodings, strict=True)
        }
        attached = [*self._files.attachments, *([own] if own else ())]
        as_they_are = [file.digest for file in attached if file.media_type == "message/rfc822"]
        parts = tree.Parts(
            text=bodies["text"],
            html=bodies.get("html"),
            inline=self._files.inline,
            attachments=attached,
            seed=tree.seed(*self._named, *as_they_are),
        )
        bare = tree.skeleton(parts)
        return tree.Skeleton((self.after + bare.pieces[0], *bare.pieces[1:]), bare.slots)
