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

WIDTH, HEIGHT, GAP, COLUMN = 220, 46, 14, 300


@dataclass(frozen=True, slots=True)
class Box:
    """One box; `url` leads to what it stands for."""

    title: str
    detail: str
    x: int
    y: int
    url: str = ""

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
class Lineage:
    """Sources on the left, the artifact, and what was merged from it on the right."""

    boxes: Sequence[Box]
    lines: Sequence[str]  # the `d` of a path
    width: int
    height: int
    words: str  # the same for who does not see it


def lineage(artifact: Artifact) -> Lineage:
    """Return the picture of one artifact. Two queries, and its manifest."""
    sources = [(title, detail, "") for title, detail in _sources(artifact)]
    sources += [(str(each), each.digest[:12], _url(each)) for each in artifact.parents.all()]
    children = [(str(each), each.digest[:12], _url(each)) for each in artifact.children.all()[:8]]
    rows = max(len(sources), len(children), 1)
    height = rows * (HEIGHT + GAP)
    left = [Box(*each[:2], 0, i * (HEIGHT + GAP), each[2]) for i, each in enumerate(sources)]
    middle = Box(str(artifact), artifact.digest[:12], COLUMN, (height - HEIGHT - GAP) // 2)
    right = [Box(*each[:2], 2 * COLUMN, i * (HEIGHT + GAP), each[2]) for i, each in enumerate(children)]
    lines = [_line(box, middle) for box in left] + [_line(middle, box) for box in right]
    words = _("%(name)s comes from: %(sources)s.") % {
        "name": artifact,
        "sources": "; ".join(f"{title} {detail}" for title, detail, _url in sources),
    }
    return Lineage([*left, middle, *right], lines, (3 if children else 2) * COLUMN, height, words)


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


def _url(artifact: Artifact) -> str:
    return reverse("panel:adapter", args=[artifact.pk])


def _line(start: Box, end: Box) -> str:
    x, y, to_x, to_y = start.x + WIDTH, start.y + HEIGHT // 2, end.x, end.y + HEIGHT // 2
    middle = (x + to_x) // 2
    return f"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}"
