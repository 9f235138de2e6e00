"""Base models: list, add, check, make the default. The rules are those of `alignapp.adapters.bases`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from ninja import Query, Router

from alignapp.adapters import bases as verbs
from alignapp.adapters.facts import model_facts
from alignapp.adapters.models import KnownModel
from alignapp.api.errors import ApiError
from alignapp.panel.api import changing
from alignapp.panel.api.answers import KEYED, once, page, responses
from alignapp.panel.api.auth import ACT, READ, TokenRequest
from alignapp.panel.api.shapes import Asked, Page

router = Router(auth=READ, tags=["models"])


def _one(model_id: UUID) -> KnownModel:
    known: KnownModel = get_object_or_404(KnownModel, pk=model_id)
    return known


@router.get("", response=responses(Page[changing.ModelFacts]))
def models(request: TokenRequest, asked: Query[Asked]) -> dict[str, Any]:
    """List the base models that are on record, the latest first."""
    return page(request, asked, KnownModel.objects.all(), lambda found: list(map(model_facts, found)))


@router.get("/{uuid:model_id}", response=responses(changing.ModelFacts))
def model(request: TokenRequest, model_id: UUID) -> dict[str, Any]:  # noqa: ARG001
    """Show one base model and what its check found."""
    return model_facts(_one(model_id))


@router.post("", auth=ACT, response=responses(changing.ModelFacts), openapi_extra=KEYED)
def add_a_model(request: TokenRequest, asked: changing.NewModel) -> dict[str, Any]:
    """Put a base model on record and have it checked."""
    person = request.auth.person
    return once(request, lambda: model_facts(verbs.add(person, asked.spec, asked.licence)))


@router.post("/{uuid:model_id}/check", auth=ACT, response=responses(changing.ModelFacts), openapi_extra=KEYED)
def check_a_model(request: TokenRequest, model_id: UUID) -> dict[str, Any]:
    """Have a base model checked again."""
    known, person = _one(model_id), request.auth.person

    def do() -> dict[str, Any]:
        verbs.check(person, known)
        return model_facts(_one(model_id))

    return once(request, do)


@router.post(
    "/{uuid:model_id}/default", auth=ACT, response=responses(changing.ModelFacts), openapi_extra=KEYED
)
def make_a_model_default(
    request: TokenRequest, model_id: UUID, asked: changing.DefaultModel
) -> dict[str, Any]:
    """Move everybody to a base model, in the background; its name is typed."""
    known, person = _one(model_id), request.auth.person
    if asked.name.strip() != known.name:
        raise ApiError(400, f"name: that is not {known.name}.", code="invalid", param="name")

    def do() -> dict[str, Any]:
        verbs.make_default(person, known, asked.reason)
        return model_facts(_one(model_id))

    return once(request, do)
