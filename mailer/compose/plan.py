"""How messages of one language variant are put together.

What of a message depends on the variant and not on the recipient: its bodies and their encodings,
the skeleton that they go into, and which headers the template sets.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from mailer.compose import tree
from mailer.compose.attachment import Attachment
from mailer.compose.attachments import Files
from mailer.compose.compiled import Renderer, encoded
from mailer.compose.design import Design
from mailer.compose.headers import Headers, check_extra, check_single
from mailer.compose.policy import fold_field
from mailer.compose.template import Variant

_SKELETONS_KEPT: Final = 64
_FIELDS_KEPT: Final = 1024


class Plan:
    """One variant of a design's template, ready to make messages of."""

    def __init__(self, variant: Variant, design: Design, files: Files, headers: Headers) -> None:
        self.header_names = variant.header_names
        for name in self.header_names:
            check_extra(name)
        check_single([*headers.names, *self.header_names])
        shared: dict[str, Any] = {"campaign": design.campaign, **design.context}
        self.renderer = Renderer(variant, shared)
        self._files = files
        self._seed = tree.seed(design.campaign, design.template)
        self.before = headers.before.encode("ascii")
        self.after = headers.after.encode("ascii")
        self.skeleton = self._skeleton(None)
        self.own_skeleton = lru_cache(_SKELETONS_KEPT)(self._skeleton)
        # Headers that a template sets have few different values, and any structure.
        self.folded = lru_cache(_FIELDS_KEPT)(fold_field)

    def parts(self, texts: Mapping[str, str], own: Attachment | None) -> tree.Parts:
        """Return what a message with the bodies of *texts* consists of."""
        bodies = {
            section: encoded(texts[section], encoding).decode("ascii")
            for section, encoding in self.renderer.encodings.items()
        }
        return self._parts(bodies, own)

    def _parts(self, bodies: Mapping[str, str], own: Attachment | None) -> tree.Parts:
        encodings = self.renderer.encodings
        html = encodings.get("html")
        return tree.Parts(
            text=tree.Body("plain", encodings["text"], bodies.get("text", "")),
            html=tree.Body("html", html, bodies.get("html", "")) if html else None,
            inline=self._files.inline,
            attachments=[*self._files.attachments, *([own] if own else ())],
            seed=self._seed,
        )

    def _skeleton(self, own: Attachment | None) -> tree.Skeleton:
        """Return the skeleton; the constant headers that come last are its beginning."""
        bare = tree.skeleton(self._parts({}, own))
        return tree.Skeleton((self.after + bare.pieces[0], *bare.pieces[1:]), bare.slots)
