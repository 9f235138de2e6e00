"""What a person has here, in their words: one of a kind, several of it. What is not named reads as it is."""

from __future__ import annotations

from django.db import models
from django.utils.translation import ngettext, ngettext_lazy

_WORDS = {
    "account.emailaddress": ngettext_lazy("e-mail address", "e-mail addresses", "count"),
    "adapters.alignment": ngettext_lazy("choice of what acts now", "choices of what acts now", "count"),
    "adapters.alignmentversion": ngettext_lazy(
        "version of your alignment", "versions of your alignment", "count"
    ),
    "adapters.artifact": ngettext_lazy("adapter or vector", "adapters and vectors", "count"),
    "adapters.judgement": ngettext_lazy("blind judgement", "blind judgements", "count"),
    "annotation.annotation": ngettext_lazy("mark on an item", "marks on items", "count"),
    "annotation.assignment": ngettext_lazy("item that you took", "items that you took", "count"),
    "annotation.submission": ngettext_lazy("submitted answer", "submitted answers", "count"),
    "api.apitoken": ngettext_lazy("API token", "API tokens", "count"),
    "campaigns.enrolment": ngettext_lazy("place in a campaign", "places in campaigns", "count"),
    "chat.reply": ngettext_lazy("answer", "answers", "count"),
    "chat.turn": ngettext_lazy("message", "messages", "count"),
    "exchange.importedperson": ngettext_lazy("person of an import", "people of imports", "count"),
    "feedback.feedback": ngettext_lazy("act of feedback", "acts of feedback", "count"),
    "feedback.gapresolution": ngettext_lazy(
        "answer about said and shown", "answers about said and shown", "count"
    ),
    "instant.instantchoice": ngettext_lazy("choice about ratings", "choices about ratings", "count"),
    "instant.instantvector": ngettext_lazy("vector from ratings", "vectors from ratings", "count"),
    "instant.personalreward": ngettext_lazy("guess at what you like", "guesses at what you like", "count"),
    "instant.replystates": ngettext_lazy("reading of an answer", "readings of answers", "count"),
    "profiles.inventoryanswer": ngettext_lazy("answer to the inventory", "answers to the inventory", "count"),
    "profiles.profileversion": ngettext_lazy("version of your profile", "versions of your profile", "count"),
    "studies.given": ngettext_lazy("merge that you were given", "merges that you were given", "count"),
}


def counted(model: type[models.Model], count: int) -> str:
    """Return what so many rows of a model are called."""
    if words := _WORDS.get(model._meta.label_lower):
        return str(words % {"count": count})
    return ngettext(str(model._meta.verbose_name), str(model._meta.verbose_name_plural), count)
