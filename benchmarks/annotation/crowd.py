"""The rows of the annotation benchmark: a project with items, its annotators, and how each of them comes in.

Sign-in is not part of the measurement: twenty sign-ins from one address are what its limit refuses.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.test import Client
from django.urls import reverse

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.annotation.models import Item, Membership, Project
from alignapp.annotation.services import projects
from alignapp.annotation.services.items import NewCandidate, NewItem, add_items

WORDS = ("water", "stone", "the", "of", "river", "why", "because", "is", "and", "long", "green", "people")
PAIR = ({"name": "pick-1-of-n", "required": True}, {"name": "slider-1-100", "required": True})
FOUR = ({"name": "slider-1-100", "required": True},)
GOLD = 10  # items of which the right answer is known, for everybody
OVERLAP = 3
SHARES: dict[str, Any] = {"repeat_share": 0.05, "gold_share": 0.05}


def make(people: int, items: int) -> dict[str, Any]:
    """Make a project of pairs, picked and rated on one page; return what its annotators need to come in."""
    owner = _person("manager")
    project = projects.create_project(
        owner, name="Pairs", protocols=list(PAIR), overlap=OVERLAP, consent_text="For a benchmark.", **SHARES
    )
    projects.add_guidelines(project, "# Be fair\n\nRead **both** answers before you pick.")
    add_items(project, _items(items))
    members = [_person(f"annotator-{number}") for number in range(people)]
    cards = [{"person": one.pseudonym, "session": _session(one)} for one in members]
    for person in members:
        join(project, person)
    return {"home": reverse("annotation:project", args=[project.id]), "people": cards}


def join(project: Project, person: Person) -> None:
    """Let somebody take part who has agreed."""
    member = Membership.objects.create(project=project, person=person, role="annotator")
    projects.agree(member, may_train=False)


def for_a_hand(count: int) -> dict[str, str]:
    """Make a project of pairs and one of four ratings, with one annotator; return addresses and session."""
    person, owner = _person("hand"), _person("hands-manager")
    homes = {}
    for name, asked, answers in (("pair", PAIR[:1], 2), ("four", FOUR, 4)):
        project = projects.create_project(owner, name=name, protocols=list(asked), consent_text="-")
        add_items(project, _ordinary(count + 2, answers))
        join(project, person)
        homes[name] = reverse("annotation:project", args=[project.id])
    return homes | {"session": _session(person)}


def _items(count: int) -> Iterator[NewItem]:
    for number, item in enumerate(_ordinary(count + GOLD, 2)):
        if number < count:
            yield item
        else:
            expected = {"pick-1-of-n": {"best": [0]}}
            yield NewItem(
                item.key, item.messages, item.candidates, purpose=Item.Purpose.GOLD, expected=expected
            )


def _ordinary(count: int, answers: int) -> Iterator[NewItem]:
    draw = random.Random(0)  # noqa: S311 - invented words

    def text(length: int) -> str:
        return " ".join(draw.choices(WORDS, k=length))

    for number in range(count):
        made = [NewCandidate(text(60), maker=f"model-{n}") for n in range(answers)]
        yield NewItem(f"item-{number}", [{"role": "user", "content": f"{text(12)}?"}], made)


def _person(name: str) -> Person:
    person = Person.objects.create(
        email=f"{name}@example.org",
        password="!",  # noqa: S106 - no password opens it
    )
    give_consent(person)
    return person


def _session(person: Person) -> str:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)
