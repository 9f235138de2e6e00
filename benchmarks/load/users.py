"""What the people do: a locustfile, run by `locust -f` in a process of its own.

Knows nothing of Django or the rows. Every measurement is one line of JSON in the file named by --rows:
`what` (page, send, begun, first, reply, feedback, limited, error), `role`, `name`, `at` (when it began, in
seconds since 1970) and `seconds`. A 429 that says when to come back is an answer, not an error.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import choice, random, randrange
from typing import Any

import gevent
from locust import HttpUser, between, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from benchmarks.load.wire import events as events_of

PAGES = ("/", "/chat/", "/alignment/", "/profile/", "/feedback/", "/alignment/jobs/", "/account/")
QUESTIONS = (
    "How do I start a small garden?",
    "What is a fair way to share chores?",
    "Why is the sea salty?",
    "Help me write a short note to my landlord.",
    "Is it right to eat animals?",
    "How can I sleep better before a long day?",
)
HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}
PATIENCE_SECONDS = 180.0  # for an answer
API_TOKENS = 48
HEAVY_AT_ONCE = 100  # requests of the heavy program that are open at the same time at most


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--cards", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--heavy-after", type=float, default=0.0, help="seconds until the heavy one begins")


class Played:
    """The cards that are not yet played, by role, and the file of measurements."""

    def __init__(self) -> None:
        self._cards: dict[str, list[dict[str, str]]] = defaultdict(list)
        self._rows: Any = None

    def begin(self, cards: Path, rows: Path) -> dict[str, int]:
        """Read the cards; return how many there are of each role."""
        for card in json.loads(cards.read_text()):
            self._cards[card["role"]].append(card)
        self._rows = rows.open("a")
        return {role: len(found) for role, found in self._cards.items()}

    def take(self, role: str) -> dict[str, str]:
        """Return somebody's card, once."""
        return self._cards[role].pop()

    def note(self, what: str, role: str, name: str, at: float, **more: Any) -> None:
        """Write one measurement that ends now."""
        row = {"what": what, "role": role, "name": name, "at": at, "seconds": time.time() - at, **more}
        self._rows.write(json.dumps(row) + "\n")
        self._rows.flush()


played = Played()


@events.init.add_listener
def _init(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    assert options is not None  # `locust -f` has parsed them
    counts = played.begin(options.cards, options.rows)
    for user in (Person, Program, Heavy):
        user.fixed_count = counts.get(user.role, 0)


class Visitor(HttpUser):
    """Somebody with a card."""

    abstract = True
    role = ""

    def on_start(self) -> None:
        """Come in with the card of somebody."""
        self.card = played.take(self.role)

    def note(self, what: str, name: str, at: float, **more: Any) -> None:
        """Write one measurement of this visitor."""
        played.note(what, self.role, name, at, **more)

    def ask(self, method: str, path: str, name: str, *, expected: int, **more: Any) -> Any:
        """Send a request; return the response when it has the expected status, None after a refusal.

        A 429 waits as long as it says. Anything else that was not expected is noted as an error.
        """
        at = time.time()
        with self.client.request(method, path, name=name, catch_response=True, **more) as response:
            response.success()
            if response.status_code == expected:
                return response
            wait = response.headers.get("Retry-After") if response.headers else None
        if response.status_code == 429 and wait:
            self.note("limited", name, at)
            gevent.sleep(float(wait))
        else:
            detail = repr(response.error) if response.status_code == 0 else response.text[:300]
            self.note("error", name, at, status=response.status_code, detail=detail)
        return None

    def chunks(self, response: Any, name: str, at: float) -> Iterator[tuple[str, Any]]:
        """Yield the events of a stream; one that breaks is noted as an error."""
        try:
            yield from events_of(response.iter_content(chunk_size=None))
        except OSError as error:  # every fault of requests is one
            self.note("error", name, at, status=0, detail=repr(error))
        finally:
            response.close()


class Person(Visitor):
    """Looks at pages, asks something now and then, reads the answers and rates them."""

    role = "person"
    wait_time = between(4, 12)

    def on_start(self) -> None:
        """Open the first page, as somebody who signed in."""
        super().on_start()
        self.client.cookies.set("sessionid", self.card["session"])
        gevent.sleep(random() * 8)  # noqa: S311 - nobody comes at the same moment
        self.page("/")

    @task(12)
    def look(self) -> None:
        """Open one of the pages."""
        self.page(choice(PAGES))  # noqa: S311

    @task(1)
    def talk(self) -> None:
        """Ask something, and sometimes go on from the answer that was picked."""
        at = time.time()
        fields = {"kind": "unguided", "text": choice(QUESTIONS), "personalised": "on", "for_training": "on"}  # noqa: S311
        created = self.post("/chat/new", "send", fields, expected=302, headers=HTML)
        if created is None:
            return
        self.note("send", "chat", at)
        where = created.headers["Location"]
        page = self.page(where, "/chat/[id]/")
        if page is None:
            return
        turn = re.findall(r'data-turn="([^"]+)"', page.text)[-1]
        self.note("begun", "chat", at, turn=turn)
        self.judge(turn, self.listen(turn, at))
        if random() < 0.4:  # noqa: S311
            self.go_on(where)

    def go_on(self, where: str) -> None:
        """Send a second message in the same conversation."""
        gevent.sleep(self.wait_time())
        at = time.time()
        sent = self.post(f"{where}send", "send", {"text": "Why?"}, expected=201)
        if sent is not None:
            self.note("send", "chat", at, turn=sent.json()["turn"])
            self.judge(sent.json()["turn"], self.listen(sent.json()["turn"], at))

    def listen(self, turn: str, at: float) -> list[str]:
        """Read a turn's events to the end; return its answers that have a text.

        Notes when the first text came, and when all was there.
        """
        path, is_first, answers = f"/chat/turns/{turn}/events", True, []
        stream = self.ask("GET", path, "events", expected=200, stream=True, timeout=PATIENCE_SECONDS)
        if stream is None:
            return []
        for name, data in self.chunks(stream, "events", at):
            if name == "token" and is_first:
                is_first = False
                self.note("first", "chat", at)
            elif name in ("done", "stalled") and data.get("error"):
                self.note("error", "events", at, status=200, detail=data["error"])
            elif name == "done" and data["html"]:
                answers.append(data["reply"])
            elif name == "end":
                self.note("reply", "chat", at, turn=turn)
                return answers
        self.note("error", "events", at, status=200, detail="the stream ended before its end")
        return answers

    def judge(self, turn: str, replies: list[str]) -> None:
        """Rate every answer after reading it; pick the one that was rated best."""
        best = choice(replies) if replies else ""  # noqa: S311
        for reply in replies:
            gevent.sleep(1 + 3 * random())  # noqa: S311
            score = 95 if reply == best else randrange(1, 90)  # noqa: S311
            self.give(turn, kind="rating", reply=reply, score=score)
        if len(replies) > 1:
            self.give(turn, kind="pick", reply=best)

    def give(self, turn: str, **fields: Any) -> None:
        """Send one act of feedback."""
        at = time.time()
        given = self.post(f"/feedback/turns/{turn}", "feedback", fields, expected=201)
        if given is not None:
            self.note("feedback", fields["kind"], at, feedback=given.json()["feedback"])

    def page(self, path: str, name: str = "") -> Any:
        """Open a page."""
        at = time.time()
        response = self.ask("GET", path, name or path, expected=200, headers=HTML)
        if response is not None:
            self.note("page", name or path, at)
        return response

    def post(
        self, path: str, name: str, fields: dict[str, Any], *, expected: int, headers: Any = JSON
    ) -> Any:
        """Send a form."""
        given = {**headers, "X-CSRFToken": self.client.cookies.get("csrftoken", "")}
        return self.ask(
            "POST", path, name, expected=expected, data=fields, headers=given, allow_redirects=False
        )


class Caller(Visitor):
    """A program with a token. Without tasks of its own: locust would add them to those of its children."""

    abstract = True

    def request(self, **more: Any) -> dict[str, Any]:
        """Return a request's body and headers."""
        body = {
            "model": choice(("alignment", "system_message", "base")),  # noqa: S311
            "messages": [{"role": "user", "content": choice(QUESTIONS)}],  # noqa: S311
            "max_tokens": API_TOKENS,
            "store": random() < 0.5,  # noqa: S311
            **more,
        }
        return {"json": body, "headers": {"Authorization": f"Bearer {self.card['token']}"}}

    def begin(self) -> tuple[Any, float]:
        """Ask for a stream; return it, None where it was refused, and when it was asked for."""
        at = time.time()
        response = self.ask(
            "POST",
            "/v1/chat/completions",
            "api",
            expected=200,
            stream=True,
            timeout=PATIENCE_SECONDS,
            **self.request(stream=True),
        )
        return response, at

    def read(self, stream: Any, at: float) -> None:
        """Read a stream to its end."""
        is_first = True
        for _name, data in self.chunks(stream, "api", at) if stream is not None else ():
            if data == "[DONE]":
                self.note("reply", "api", at)
            elif "error" in data:
                self.note("error", "api", at, status=200, detail=data["error"]["message"])
                return
            elif is_first and any(choice["delta"].get("content") for choice in data["choices"]):
                is_first = False
                self.note("first", "api", at)


class Program(Caller):
    """Asks the API now and then, half of the time as a stream."""

    role = "program"
    wait_time = between(15, 45)

    def on_start(self) -> None:
        """Come at any moment."""
        super().on_start()
        gevent.sleep(random() * 30)  # noqa: S311

    @task
    def complete(self) -> None:
        """Ask once and read the answer."""
        if random() < 0.5:  # noqa: S311
            self.read(*self.begin())
            return
        at = time.time()
        response = self.ask(
            "POST", "/v1/chat/completions", "api", expected=200, timeout=PATIENCE_SECONDS, **self.request()
        )
        if response is not None and response.json()["choices"]:
            self.note("reply", "api", at)


class Heavy(Caller):
    """Asks as fast as it is allowed to, without waiting for answers."""

    role = "heavy"
    wait_time = between(0.05, 0.1)

    def on_start(self) -> None:
        """Begin when the others have been alone for a while."""
        super().on_start()
        self.readers = gevent.pool.Pool(HEAVY_AT_ONCE)
        gevent.sleep(self.environment.parsed_options.heavy_after)

    def on_stop(self) -> None:
        """Leave what is unread."""
        self.readers.kill()

    @task
    def complete(self) -> None:
        """Ask, and let somebody else read the answer."""
        stream, at = self.begin()
        if stream is not None:
            self.readers.spawn(self.read, stream, at)
