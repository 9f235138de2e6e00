"""People by pseudonym: what there is of each, in numbers. No word of theirs."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import QueryDict

from alignapp.accounts.consent import has_consent
from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.pages.advice import advice_words
from alignapp.adapters.services import current_alignment
from alignapp.audit.services import events_about
from alignapp.audit.wording import in_words
from alignapp.chat.models import Conversation
from alignapp.feedback.models import Feedback
from alignapp.panel.forms import PersonFilter, RevealForm
from alignapp.panel.models import SupportLeave
from alignapp.panel.pages.listing import listing


def people_page(query: QueryDict) -> dict[str, Any]:
    """Return the context of the list. Three queries."""
    form = PersonFilter(query or None)
    return {"form": form, "listing": listing(people_found(form), query, by="date_joined")}


def people_found(form: PersonFilter) -> QuerySet[Person]:
    """Return the people that pass, each with how much was made of theirs. Executes no query by itself."""
    people = Person.objects.all()
    if form.is_valid() and form.cleaned_data["person"]:
        people = people.filter(pseudonym__startswith=form.cleaned_data["person"])
    return people.annotate(artifacts_made=_count_of(Artifact), jobs_made=_count_of(Job))


def person_page(person: Person, *, advice: bool = False) -> dict[str, Any]:
    """Return the context of one person's page. Some twelve queries, however much they have.

    The advice reads all that the person ever gave, in some twenty more: it is worked out when asked for.
    """
    artifacts = Artifact.objects.for_person(person)
    alignment = current_alignment(person)
    events = events_about(person)[:10]
    return {
        "person": person,
        "consented": has_consent(person),
        "alignment": alignment,
        "advice": advice_words(person) if advice else None,
        "parts": [p for kind in Artifact.Kind.values if alignment and (p := getattr(alignment, kind))],
        "conversations": Conversation.objects.for_person(person).count(),
        "feedback": Feedback.objects.for_person(person).count(),
        "artifacts": artifacts.order_by("-created_at")[:10],
        "artifact_count": artifacts.count(),
        "jobs": Job.objects.for_person(person).defer("curve", "split", "traceback")[:10],
        "events": [(event, in_words(event.verb)) for event in events],
        "form": RevealForm(),
        "leave": SupportLeave.in_force().filter(person=person).select_related("helper").first(),
    }


def cases_of(helper: Person) -> QuerySet[SupportLeave]:
    """Return the leaves that this supporter may take up, and the one that they have."""
    free = SupportLeave.in_force().filter(Q(helper=None) | Q(helper=helper))
    return free.select_related("person").order_by("until")[:50]


def _count_of(model: type[Artifact] | type[Job]) -> Coalesce:
    own = model._base_manager.filter(person=OuterRef("pk")).order_by().values("person")
    return Coalesce(Subquery(own.annotate(n=Count("pk")).values("n")), 0)
