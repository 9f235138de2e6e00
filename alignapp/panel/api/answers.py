"""What the addresses of the operator API have in common: pages of rows, and acts that are done once.

An act with an `Idempotency-Key` and its answer are one transaction, so that a program that heard nothing
may send the same request again: either nothing was done and it is done now, or it gets the first answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.db import models, transaction
from django.http import QueryDict

from alignapp.api.errors import ApiError
from alignapp.audit.services import noting
from alignapp.panel.api.auth import TokenRequest
from alignapp.panel.api.shapes import Asked, Error
from alignapp.panel.models import AnsweredRequest
from alignapp.panel.pages.listing import listing

KEY_CHARACTERS = 100
# What the OpenAPI document says of `once`.
KEYED: dict[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": "Idempotency-Key",
            "schema": {"type": "string", "maxLength": KEY_CHARACTERS},
            "description": "The same key with the same request is answered as before, for a day.",
        }
    ]
}


def responses(shape: Any) -> dict[Any, Any]:
    """Return what an address may answer, for ninja and the OpenAPI document."""
    return {200: shape, frozenset({400, 401, 403, 404, 409, 429}): Error}


def page(
    request: TokenRequest,
    asked: Asked,
    rows: models.QuerySet[Any],
    to_facts: Callable[[Sequence[Any]], list[dict[str, Any]]],
    *,
    by: str = "created_at",
) -> dict[str, Any]:
    """Return one page of rows. Raises ApiError for a filter or a cursor that is not understood."""
    if unknown := sorted(set(request.GET) - set(type(asked).model_fields)):
        known = ", ".join(type(asked).model_fields)
        raise ApiError(
            400, f"There is no filter {unknown[0]!r}. Known: {known}.", code="invalid", param=unknown[0]
        )
    found = listing(rows, request.GET, by=by, per_page=asked.limit)
    if asked.before and found.is_first:
        raise ApiError(400, "before: take it from the `next` of a page.", code="invalid", param="before")
    return {
        "data": to_facts(found.rows),
        "next": QueryDict(found.next_query).get("before"),
        "count": found.count,
        "is_counted": found.is_counted,
    }


def checked(form: forms.Form) -> forms.Form:
    """Return the panel's own form of these filters. Raises ApiError for what it does not take."""
    if not form.is_valid():
        name, words = next(iter(form.errors.items()))
        raise ApiError(400, f"{name}: {words[0]}", code="invalid", param=name)
    return form


def once(request: TokenRequest, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do an act with the token's name on record; with an `Idempotency-Key` do it once.

    Raises ApiError where the key was used for another request, and what `do` raises: then nothing is kept.
    """
    token, key = request.auth, request.headers.get("Idempotency-Key", "")
    with noting(token=token.name, token_id=str(token.pk)):
        if not key:
            return do()
        if len(key) > KEY_CHARACTERS:
            words = f"An Idempotency-Key has at most {KEY_CHARACTERS} characters."
            raise ApiError(400, words, code="invalid", param="Idempotency-Key")
        sent = "\n".join((request.method or "", request.get_full_path())).encode() + b"\n" + request.body
        fingerprint = hashlib.sha256(sent).hexdigest()
        with transaction.atomic():
            row, is_new = AnsweredRequest.objects.get_or_create(
                token=token, key=key, defaults={"fingerprint": fingerprint}
            )
            if row.fingerprint != fingerprint:
                words = "This Idempotency-Key was used for another request. Make a new one for each."
                raise ApiError(409, words, code="idempotency_key_reused", param="Idempotency-Key")
            if is_new:
                row.answer = do()
                row.save(update_fields=["answer"])
        answer: dict[str, Any] = row.answer
        return answer
