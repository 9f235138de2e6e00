"""A free comment on the whole item."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from alignapp.annotation.models import Annotation
from alignapp.annotation.protocols.base import Given, Protocol


class Comment(Protocol):
    """Words about all of it; stored as a critique of no single candidate."""

    name = "free-comment"
    title = _("Comment")
    help = _("Anything that we should know.")
    is_common = True
    scale = "none"
    order = 60
    item_template = "annotation/protocols/comment_item.html"

    def read(self, given: Given) -> list[Annotation]:
        text = given.text(self.name)
        return [given.act("critique", self.name, text=text)] if text else []
