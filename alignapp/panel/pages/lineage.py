"""Where an artifact comes from, as boxes and lines of a picture. Knows nothing of SVG but its coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alignapp.adapters import store
from alignapp.adapters.models import Artifact
from personalization.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Sequence

Words = tuple[str, str, str]  # title, detail, where it leads
WIDTH, HEIGHT, GAP, COLUMN = 220, 46, 14, 300
# On a phone one stands below the other, with lines at the left: what a card holds of a screen of 360 px.
TALL_WIDTH, GUTTER = 260, 36
MOST_CHILDREN = 8


@dataclass(frozen=True, slots=True)
class Box:
    """One box; `url` leads to what it stands for, and it is the artifact's own where `is_own`."""

    title: str
    detail: str
    x: int
    y: int
    url: str = ""
    is_own: bool = False

    @property
    def text_x(self) -> int:
        """Where its words begin."""
        return self.x + 12

    @property
    def title_y(self) -> int:
        """The first line."""
        return self.y + 19

    @property
    def detail_y(self) -> int:
        """The second line."""
        return self.y + 36


@dataclass(frozen=True, slots=True)
class Drawing:
    """Boxes, the lines between them (the `d` of a path each), and how large it is."""

    boxes: Sequence[Box]
    lines: Sequence[str]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """Sources, the artifact, and what was merged from it: from left to right, and from top to bottom."""

    wide: Drawing
    tall: Drawing
    words: str  # the same for who does not see it


def lineage(artifact: Artifact) -> Lineage:
    """Return the picture of one artifact. Two queries, and its manifest."""
    sources = [(title, detail, "") for title, detail in _sources(artifact)]
    sources += [_named(each, artifact) for each in artifact.parents.select_related("person")]
    children = [_named(each, artifact) for each in artifact.children.select_related("person")[:MOST_CHILDREN]]
    own = (str(artifact), artifact.digest[:12])
    words = _("%(name)s comes from: %(sources)s.") % {
        "name": artifact,
        "sources": "; ".join(f"{title} {detail}" for title, detail, _url in sources),
    }
    return Lineage(_wide(sources, own, children), _tall(sources, own, children), words)


def _wide(sources: Sequence[Words], own: tuple[str, str], children: Sequence[Words]) -> Drawing:
    height = max(len(sources), len(children), 1) * (HEIGHT + GAP)
    left = [_box(each, 0, i * (HEIGHT + GAP)) for i, each in enumerate(sources)]
    middle = Box(*own, COLUMN, (height - HEIGHT - GAP) // 2, is_own=True)
    right = [_box(each, 2 * COLUMN, i * (HEIGHT + GAP)) for i, each in enumerate(children)]
    lines = [_across(box, middle) for box in left] + [_across(middle, box) for box in right]
    # What lies right of the last box would only be scrolled.
    return Drawing([*left, middle, *right], lines, (2 if children else 1) * COLUMN + WIDTH + 2, height)


def _tall(sources: Sequence[Words], own: tuple[str, str], children: Sequence[Words]) -> Drawing:
    step = HEIGHT + GAP
    above = [_box(each, GUTTER, i * step) for i, each in enumerate(sources)]
    middle = Box(*own, GUTTER, len(above) * step, is_own=True)
    below = [_box(each, GUTTER, middle.y + (i + 1) * step) for i, each in enumerate(children)]
    lines = [_beside(box, middle, 10) for box in above] + [_beside(middle, box, 22) for box in below]
    return Drawing([*above, middle, *below], lines, TALL_WIDTH, (len(above) + 1 + len(below)) * step)


def _box(words: Words, x: int, y: int) -> Box:
    title, detail, url = words
    return Box(title, detail, x, y, url)


def _sources(artifact: Artifact) -> list[tuple[str, str]]:
    try:
        records = store.check(artifact).get("records")
        count = len(records) if isinstance(records, list) else 0
        learned = ngettext("%(n)d record", "%(n)d records", count) % {"n": count}
    except ArtifactError:
        learned = _("manifest damaged")
    profile = artifact.profile_version
    return [
        (_("Base model"), artifact.model_revision),
        (_("Method"), artifact.job.method),
        (_("Feedback"), learned),
        (_("Profile"), f"v{profile.number}" if profile else _("none stated")),
    ]


def _named(each: Artifact, of: Artifact) -> Words:
    """Return what one related version is called: with its person where that is somebody else."""
    name = str(each) if each.person_id == of.person_id else f"{each}, {each.person.pseudonym}"
    return name, each.digest[:12], reverse("panel:adapter", args=[each.pk])


def _across(start: Box, end: Box) -> str:
    x, y, to_x, to_y = start.x + WIDTH, start.y + HEIGHT // 2, end.x, end.y + HEIGHT // 2
    middle = (x + to_x) // 2
    return f"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}"


def _beside(start: Box, end: Box, x: int) -> str:
    """Go from one box to a lower one along the left, at `x`."""
    y, to_y = start.y + HEIGHT // 2, end.y + HEIGHT // 2
    return f"M{start.x} {y}H{x + 6}Q{x} {y} {x} {y + 6}V{to_y - 6}Q{x} {to_y} {x + 6} {to_y}H{end.x}"
