"""People by pseudonym, in numbers. No address of this API ever answers with a person's words or e-mail."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from ninja import Query, Router

from alignapp.accounts.models import Person
from alignapp.panel.api import shapes
from alignapp.panel.api.answers import checked, page, responses
from alignapp.panel.api.auth import READ, TokenRequest
from alignapp.panel.forms import PersonFilter
from alignapp.panel.pages.people import people_found, person_page

router = Router(auth=READ, tags=["people"])


@router.get("", response=responses(shapes.Page[shapes.PersonFacts]))
def people(request: TokenRequest, asked: Query[shapes.AskedPeople]) -> dict[str, Any]:
    """List people, who joined last first."""
    form = PersonFilter(asked.model_dump())
    checked(form)
    return page(request, asked, people_found(form), lambda rows: list(map(_facts, rows)), by="date_joined")


def _facts(person: Any) -> dict[str, Any]:
    return {
        "id": person.pk,
        "person": person.pseudonym,
        "is_active": person.is_active,
        "joined": person.date_joined,
        "artifacts": person.artifacts_made,
        "jobs": person.jobs_made,
    }


@router.get("/{str:pseudonym}", response=responses(shapes.PersonDetails))
def person(request: TokenRequest, pseudonym: str) -> dict[str, Any]:  # noqa: ARG001
    """Show one person in numbers."""
    found: Person = get_object_or_404(people_found(PersonFilter({})), pseudonym=pseudonym)
    shown = person_page(found)
    return {
        **_facts(found),
        "consented": shown["consented"],
        "conversations": shown["conversations"],
        "feedback": shown["feedback"],
        "active": [part.pk for part in shown["parts"]],
        "alignment_version": getattr(shown["alignment"], "number", None),
    }
