"""The people of the load: accounts, profiles, sessions, tokens, and rated conversations to learn from.

Every person has rated the same answers of the base model by a taste of their own, and the answers' states lie
with them as a worker leaves them. Sign-in is not part of the load: fifty sign-ins from one address are what
its limit refuses.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from django.conf import settings
from django.test import Client

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters.models import Job
from alignapp.adapters.services import start_job
from alignapp.api.models import ApiToken, Scope
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import PROTOCOLS, as_shown
from alignapp.instant.models import ReplyStates
from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.services import new_version
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Sampling
from personalization.errors import NotEnoughData
from personalization.models.base import load
from personalization.records import Message
from personalization.simulation.people import SimulatedPerson, draw_person
from personalization.simulation.prompts import draw_prompts
from personalization.steering.instant import MeanStates, pack

PROMPTS, ANSWERS, TOKENS = 8, 4, 32  # of the rated conversations: eight, six of them at least to train
CANDIDATES = (1, 2, 4)  # how many answers a first message gets: people differ
HEAVY, PROGRAM, PERSON = "heavy", "program", "person"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the base model and its states."""

    text: str
    states: MeanStates
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Pool:
    """What everybody has rated: `answers[i]` answer `prompts[i]`."""

    revision: str
    prompts: Sequence[str]
    answers: Sequence[Sequence[Answer]]


def draw_pool() -> Pool:
    """Let the base model answer each prompt some times."""
    base = load(settings.ALIGN_MODEL, settings.MODEL_DIR)
    prompts, _ = draw_prompts(0, rated=PROMPTS, fresh=0)
    samplings = [
        Sampling(temperature=1.0, top_p=0.95, max_new_tokens=TOKENS, seed=i) for i in range(PROMPTS * ANSWERS)
    ]
    engine = LocalEngine(base, max_rows=len(samplings))
    try:
        streams = [
            engine.submit(GenerationRequest(str(i), (Message("user", prompts[i // ANSWERS]),), sampling, ()))
            for i, sampling in enumerate(samplings)
        ]
        answers = []
        for stream, sampling in zip(streams, samplings, strict=True):
            while not isinstance(event := stream.next(timeout_seconds=60), Finished):
                pass
            states = event.states or engine.read((), event.text or "-")
            answers.append(Answer(event.text, states, sampling))
    finally:
        engine.close()
    return Pool(base.revision, prompts, [answers[i : i + ANSWERS] for i in range(0, len(answers), ANSWERS)])


def roles(count: int) -> list[str]:
    """Return who is what: one heavy program, one in five a program that asks now and then, people else."""
    return [HEAVY, *islice(cycle([PERSON, PERSON, PERSON, PERSON, PROGRAM]), count - 1)]


def make(pool: Pool, count: int) -> list[dict[str, str]]:
    """Make the people and return what each needs to come in: role, pseudonym, session and token."""
    return [_card(_person(pool, number), role) for number, role in enumerate(roles(count))]


def _card(person: Person, role: str) -> dict[str, str]:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    _token, secret = ApiToken.issue(person, name="load", scopes=list(Scope.values))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    return {"role": role, "person": person.pseudonym, "session": session, "token": secret}


def _person(pool: Pool, number: int) -> Person:
    taste = draw_person(number)
    person = Person.objects.create(
        email=f"load-{number}@example.org",
        password="!",  # noqa: S106 - no password opens it
        candidate_count=CANDIDATES[number % len(CANDIDATES)],
    )
    give_consent(person)
    own = [{"text": text, "importance": max(1, 5 - i)} for i, text in enumerate(taste.stated_values)]
    profile = new_version(person, ProfileVersion.Section.VALUES, values={"chosen": [], "own": own})
    _rate(person, profile, pool, taste, random.Random(number))  # noqa: S311 - a simulation
    return person


def _rate(
    person: Person, profile: ProfileVersion, pool: Pool, taste: SimulatedPerson, rng: random.Random
) -> None:
    talks = [Conversation(person=person, title=prompt) for prompt in pool.prompts]
    turns = [Turn(conversation=talk, text=prompt) for talk, prompt in zip(talks, pool.prompts, strict=True)]
    replies, acts, states = [], [], []
    for turn, answers in zip(turns, pool.answers, strict=True):
        mine = [_reply(turn, place, answer) for place, answer in enumerate(answers)]
        shown = [as_shown(reply) for reply in mine]
        scores = taste.rate_together([answer.text for answer in answers], rng)
        for reply, answer, score in zip(mine, answers, scores, strict=True):
            states.append(_states(reply, answer.states, pool.revision))
            acts.append(_rating(person, profile, reply, score, shown))
        replies += mine
    for model, rows in ((Conversation, talks), (Turn, turns), (Reply, replies)):
        model.objects.bulk_create(rows)  # type: ignore[arg-type] # each its own rows
    ReplyStates.objects.bulk_create(states)
    Feedback.objects.bulk_create(acts)


def _reply(turn: Turn, place: int, answer: Answer) -> Reply:
    return Reply(
        turn=turn,
        position=place,
        maker=Reply.Maker.BASE if place == 0 else Reply.Maker.SAMPLING,
        status=Reply.Status.DONE,
        text=answer.text,
        sampling=answer.sampling.as_dict(),
    )


def _states(reply: Reply, states: MeanStates, revision: str) -> ReplyStates:
    return ReplyStates(
        reply=reply,
        model_revision=revision,
        layers=list(states.layers),
        tokens=states.tokens,
        means=pack(states.means),
    )


def _rating(
    person: Person, profile: ProfileVersion, reply: Reply, score: int, shown: list[dict[str, object]]
) -> Feedback:
    kind = Feedback.Kind.RATING
    return Feedback(
        person=person,
        turn=reply.turn,
        reply=reply,
        kind=kind,
        protocol=PROTOCOLS[kind],
        score=score,
        shown=shown,
        profile_version=profile,
    )


def start_training(count: int) -> list[Job]:
    """Start an adapter's job for so many people; who rated all answers alike has nothing to learn from."""
    started: list[Job] = []
    for person in Person.objects.order_by("date_joined"):
        if len(started) < count:
            with suppress(NotEnoughData):
                started.append(start_job(person, "dpo"))
    return started


def write_cards(cards: Sequence[dict[str, str]], file: Path) -> None:
    """Write the cards for the process that plays the people, for nobody else to read."""
    file.touch(mode=0o600)
    file.write_text(json.dumps(list(cards)))
