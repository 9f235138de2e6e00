"""Every row that leads to a person, found by looking at the models: what export writes and erase must reach.

Knows no app by name. A new model with a path to a person is exported without anybody thinking of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

# Models that lead to a person and are not written out, each with the reason. Sessions hold no foreign
# key and are ended, not exported.
NOT_EXPORTED = {
    "account.emailconfirmation": "holds only the key of a link that was mailed",
    "mfa.authenticator": "holds only the secrets of the second factor",
}
# Never written out, whatever the model: the password's hash, and what keeps the audit chain together.
SECRET_FIELDS = frozenset({"password", "salt", "hash", "previous_hash", "detail_digest"})


def lookups_to_person(model: type[models.Model]) -> tuple[str, ...]:
    """Return the lookups from a model to its people; empty when it leads to nobody.

    A declared `owner_path` counts alone. Else every foreign key to a person counts; without one, the
    shortest chain of foreign keys that ends at a person.
    """
    person = get_user_model()
    if model is person:
        return ("pk",)
    if declared := getattr(model, "owner_path", None):
        return (str(declared),)
    level: list[tuple[str, type[models.Model]]] = [("", model)]
    seen = {model}
    while level:
        keys = [(f"{prefix}{field.name}", target) for prefix, at in level for field, target in _keys_of(at)]
        if found := tuple(name for name, target in keys if target is person):
            return found
        level = [(f"{name}__", target) for name, target in keys if target not in seen]
        seen.update(target for _, target in level)
    return ()


def _keys_of(model: type[models.Model]) -> Iterator[tuple[models.Field[Any, Any], type[models.Model]]]:
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey) and isinstance(field.related_model, type):
            yield field, field.related_model


def personal_models() -> list[type[models.Model]]:
    """Return every model that leads to a person and is exported, by label."""
    found = [
        model
        for model in apps.get_models()
        if model._meta.label_lower not in NOT_EXPORTED and lookups_to_person(model)
    ]
    return sorted(found, key=lambda model: model._meta.label_lower)


def rows_of(person: Person) -> Iterator[tuple[type[models.Model], models.QuerySet[Any]]]:
    """Yield each personal model with this person's rows."""
    for model in personal_models():
        theirs = Q()
        for lookup in lookups_to_person(model):
            theirs |= Q(**{lookup: person.pk})
        yield model, model._base_manager.filter(theirs).order_by("pk")
