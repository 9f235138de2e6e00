"""Fresh answers of an artifact and of the base model, judged blind by the person whom they are for.

What a card proves on held-out feedback is about answers that somebody else wrote; here the artifact wrote
them itself. Knows nothing of pages. Nothing is ever learned from these judgements.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from alignapp.adapters import dispatch
from alignapp.adapters.errors import Refused
from alignapp.adapters.models import WORTH, Artifact, Judgement
from personalization.statistics import Estimate, wilson

ANSWERS = ("first", "second", "alike")


@dataclass(frozen=True, slots=True)
class Duel:
    """Two answers to one prompt; nothing in `first` and `second` tells who wrote them."""

    position: int
    prompt: str
    first: str
    second: str
    artifact_first: bool


def waiting(artifact: Artifact) -> list[Duel]:
    """Return what is not judged yet; answers that are the same word for word are left out."""
    card = getattr(artifact, "report_card", None)
    fresh = (card.results.get("fresh") or []) if card is not None else []
    judged = set(Judgement.objects.filter(artifact=artifact).values_list("position", flat=True))
    return [
        _duel(artifact, position, found)
        for position, found in enumerate(fresh)
        if position not in judged and found["base"].strip() != found["artifact"].strip()
    ]


def judge(artifact: Artifact, position: int, answer: str) -> Judgement:
    """Store which answer is better. Raises Refused for a pair that is judged already or does not exist."""
    if answer not in ANSWERS:
        raise Refused(_("Say which of the two answers is better, or that they are alike."))
    duel = next((one for one in waiting(artifact) if one.position == position), None)
    if duel is None:
        raise Refused(_("These two answers are not on offer; take the next ones."))
    own = "first" if duel.artifact_first else "second"
    sides = {own: Judgement.Answer.ARTIFACT, "alike": Judgement.Answer.ALIKE}
    try:
        with transaction.atomic():
            made = Judgement.objects.create(
                artifact=artifact,
                position=position,
                answer=sides.get(answer, Judgement.Answer.BASE),
                artifact_first=duel.artifact_first,
            )
            dispatch.wake_for_live(artifact.person_id)
    except IntegrityError as error:  # a second click that came at the same time
        raise Refused(_("These two answers are not on offer; take the next ones.")) from error
    return made


def won(artifact: Artifact) -> Estimate | None:
    """Return the win rate over the base model with Wilson's interval, ties as halves; None without any."""
    answers = list(Judgement.objects.filter(artifact=artifact).values_list("answer", flat=True))
    if not answers:
        return None
    return wilson(sum(WORTH[answer] for answer in answers), len(answers))


def _duel(artifact: Artifact, position: int, found: dict[str, str]) -> Duel:
    # By a digest, so that reloading the page does not tell by changing sides.
    drawn = hashlib.sha256(f"{artifact.pk}:{position}".encode()).digest()[0]
    artifact_first = drawn % 2 == 0
    own, base = found["artifact"], found["base"]
    sides = (own, base) if artifact_first else (base, own)
    return Duel(position, found["prompt"], *sides, artifact_first)
