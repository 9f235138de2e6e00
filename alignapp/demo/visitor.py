"""A person at a browser without scripts: signs up, states, chats, rates, learns, switches on.

Knows nothing of tastes or statistics. Each verb is one form of the application; a refusal raises
with the words that the page showed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact, Job
from alignapp.chat.models import Conversation, Reply
from personalization.errors import AlignError

POLL_SECONDS = 0.5


class Visitor:
    """One signed-up person and their session."""

    def __init__(self, email: str, password: str) -> None:
        self.email, self.password = email, password
        self._client = Client(HTTP_HOST="127.0.0.1", HTTP_ACCEPT="text/html")
        self._post("account_signup", email=email, password1=password, password2=password, consent="on")
        self.person = Person.objects.get(email=email)

    def _post(self, name: str, *args: object, **fields: Any) -> Any:
        response = self._client.post(reverse(name, args=args), fields)
        words = [str(m) for m in get_messages(response.wsgi_request) if "bad" in m.tags]
        if response.status_code >= 400 or words:
            raise AlignError(f"{name} was refused ({response.status_code}): {' '.join(words)}")
        if response.status_code == 200 and (form := (response.context or {}).get("form")) and form.errors:
            raise AlignError(f"{name} was refused: {form.errors.as_text()}")
        return response

    def state_values(self, own: Sequence[str]) -> None:
        """Write values in one's own words, the first the most important."""
        texts = {"own_text": list(own), "own_importance": [str(max(1, 5 - i)) for i in range(len(own))]}
        self._post("profiles:values", **texts)

    def ask(self, prompts: Iterable[str], *, personalised: bool = True) -> list[Conversation]:
        """Begin one conversation for each prompt and return them in order; answers come later."""
        switches = {"personalised": "on"} if personalised else {}
        begun = []
        for prompt in prompts:
            response = self._post("chat:new", kind="unguided", text=prompt, for_training="on", **switches)
            conversation_id = response["Location"].split("?")[0].rstrip("/").rsplit("/", 1)[-1]
            begun.append(Conversation.objects.for_person(self.person).get(id=conversation_id))
        return begun

    def wait_for_answers(
        self,
        conversations: Sequence[Conversation],
        seen: Callable[[int, int], None],
        *,
        patience: float = 60.0,
    ) -> list[list[Reply]]:
        """Wait until every answer has ended; return the complete ones for each conversation, as shown.

        `seen` is told (ended, all) as it goes. Raises AlignError when nothing ends for `patience` seconds.
        """
        rows = Reply.objects.for_person(self.person).filter(turn__conversation__in=conversations)
        total, last, since = rows.count(), -1, time.monotonic()
        while (ended := rows.filter(status__in=Reply.ENDED).count()) < total:
            if ended != last:
                last, since = ended, time.monotonic()
                seen(ended, total)
            if time.monotonic() - since > patience:
                raise AlignError(f"No answer for {patience:.0f} s ({ended} of {total}): is the worker alive?")
            time.sleep(POLL_SECONDS)
        seen(total, total)
        complete = rows.filter(status=Reply.Status.DONE).order_by("position").select_related("turn")
        by_conversation: dict[object, list[Reply]] = {c.id: [] for c in conversations}
        for reply in complete:
            by_conversation[reply.turn.conversation_id].append(reply)
        return [by_conversation[c.id] for c in conversations]

    def rate(self, reply: Reply, score: int) -> None:
        """Put the slider under one answer to `score`, 1 to 100."""
        self._post("feedback:give", reply.turn_id, kind="rating", reply=str(reply.id), score=str(score))

    def candidates(self, count: int) -> None:
        """Ask for this many answers to a first message."""
        self._post("chat:count", candidate_count=str(count))

    def learn(self, method: str) -> Job:
        """Press "learn" for one method and return the job."""
        self._post("adapters:start_job", method=method)
        return Job.objects.for_person(self.person).filter(method=method).latest("created_at")

    def wait_for_job(self, job: Job, seen: Callable[[Job], None], *, patience: float = 900.0) -> Artifact:
        """Wait until the job is done and return its artifact. Raises AlignError with its reason."""
        until = time.monotonic() + patience
        while True:
            job.refresh_from_db()
            seen(job)
            if job.state == Job.State.DONE:
                return Artifact.objects.for_person(self.person).select_related("report_card").get(job=job)
            if job.state in Job.ENDED or time.monotonic() > until:
                raise AlignError(f"{job} is {job.state}: {job.reason or 'no reason given'}")
            time.sleep(POLL_SECONDS)

    def switch_on(self, artifact: Artifact) -> None:
        """Switch an artifact on; without proof this says yes to the warning."""
        self._post("adapters:switch_on", artifact.id, accept_unproven="on")

    def set_strengths(self, **strengths: float) -> None:
        """Move the sliders: `adapter`, `vector`, `personality`, each 0 to 1.5."""
        self._post("adapters:strengths", **{f"{part}_strength": str(s) for part, s in strengths.items()})
