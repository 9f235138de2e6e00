"""What the annotators do, each in a thread, all in a process of their own: what the page's script does.

    python -m benchmarks.annotation.annotators --port 8000 --cards FILE --rows FILE --paced 60 --most 150

For `--paced` seconds each thinks for three to seven seconds before answering; then all answer as fast as they
are served, until nothing is left for anybody. While an item is judged the next one is fetched. Some skip
(with a reason), some press Submit twice at once, some go back and answer anew. Each measurement, and each
submission that the server said it has, is one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.annotation.wire import Page, Unexpected, Wire

THINK_SECONDS = (3.0, 7.0)  # less than people need: an item has 130 words, half a minute of reading
SKIPPED, PRESSED_TWICE, CHANGED = 0.03, 0.03, 0.05  # shares of the items
AGAIN_SECONDS = 0.5  # until somebody for whom nothing was left asks again


class Crowd:
    """What the annotators share: the clock, who has nothing to do, and the measurements."""

    def __init__(self, count: int, paced: float, most: float) -> None:
        self.rows: list[dict[str, Any]] = []
        self._paced, self._most = paced, most
        self._begun = time.monotonic()
        self._count, self._idle = count, 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Let the clock run from now on: everybody has come in."""
        self._begun = time.monotonic()

    @property
    def is_paced(self) -> bool:
        """Whether they still think before they answer."""
        return time.monotonic() < self._begun + self._paced

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self._begun + self._most

    def note(self, what: str, seconds: float = 0.0, **more: Any) -> None:
        """Keep one measurement that ends now."""
        at = time.monotonic() - self._begun
        with self._lock:
            self.rows.append({"what": what, "at": at, "seconds": seconds, **more})

    def idle(self, change: int) -> bool:
        """Count somebody in or out of those for whom nothing is left; say whether that is everybody."""
        with self._lock:
            self._idle += change
            return self._idle >= self._count


class Annotator(threading.Thread):
    """One annotator, from the first item to the last one that there is."""

    def __init__(self, number: int, card: dict[str, str], home: str, port: int, crowd: Crowd) -> None:
        super().__init__(name=card["person"])
        self._draw = random.Random(number)  # noqa: S311 - a simulation
        self._crowd = crowd
        self._wires = [Wire(port, card["session"]) for _ in range(3)]
        for wire in self._wires:
            wire.come_in(home)
        self._front, self._behind, self._third = self._wires
        self._next_url = f"{home}next"
        self._beside = ThreadPoolExecutor(2)

    def run(self) -> None:
        """Judge until nothing is left for anybody, or the time is up."""
        try:
            page = self._fetch(self._front, None)
            while not self._crowd.is_over:
                page = page or self._wait_for_more()
                if page is None:
                    break
                page = self._judge(page)
        except (Unexpected, OSError, ValueError) as error:
            self._crowd.note("error", detail=repr(error)[:500], who=self.name)
            self._crowd.idle(1)
        self._beside.shutdown()

    def _fetch(self, wire: Wire, besides: Page | None) -> Page | None:
        phase, begun = self._phase(), time.monotonic()
        url = wire.post(self._next_url, {"besides": besides.assignment} if besides else {})["next"]
        self._crowd.note("next", time.monotonic() - begun, phase=phase)
        if url is None:
            return None
        page = wire.page(url)
        self._crowd.note("page", time.monotonic() - begun, phase=phase)  # with the claim before it
        return page

    def _wait_for_more(self) -> Page | None:
        everybody = self._crowd.idle(1)
        while not (everybody or self._crowd.is_over):
            time.sleep(AGAIN_SECONDS)
            if (page := self._fetch(self._front, None)) is not None:
                self._crowd.idle(-1)
                return page
            everybody = self._crowd.idle(0)
        return None

    def _judge(self, page: Page) -> Page | None:
        ahead = self._beside.submit(self._fetch, self._behind, page)
        paced = self._crowd.is_paced
        form = self._form(page)
        if paced:
            think = self._draw.uniform(*THINK_SECONDS)
            time.sleep(think / 2)
            form["draft_number"] = self._draft(page, form)
            time.sleep(think / 2)
            if self._draw.random() < SKIPPED:
                return self._skip(page, ahead)
        phase, pressed = self._phase(), time.monotonic()  # who thought meanwhile may press beside the fast
        if self._draw.random() < PRESSED_TWICE:
            second = self._beside.submit(self._third.post, page.url, dict(form))
            self._send(page, form, phase)
            self._told(page, form, second.result())
        else:
            self._send(page, form, phase)
        following = ahead.result() or self._fetch(self._front, None)
        if following:
            self._crowd.note("wait", time.monotonic() - pressed, phase=phase)
        if paced and self._draw.random() < CHANGED:
            again = self._front.page(page.url)
            self._send(again, self._form(again), phase)
        return following

    def _phase(self) -> str:
        return "paced" if self._crowd.is_paced else "flat out"

    def _form(self, page: Page) -> dict[str, str]:
        best = self._draw.choice(page.candidates)
        form = {"pick-1-of-n": best, "draft_number": page.draft_number, "active_ms": "2000", "timings": "{}"}
        for one in page.candidates:
            form[f"slider-1-100.{one}"] = str(self._draw.randint(51, 100) if one == best else 40)
            form[f"touched.slider-1-100.{one}"] = "on"
        return form

    def _draft(self, page: Page, form: dict[str, str]) -> str:
        begun = time.monotonic()
        kept = self._front.post(f"{page.url}draft", form)
        self._crowd.note("draft", time.monotonic() - begun, phase="paced")
        return str(kept["draft_number"])

    def _send(self, page: Page, form: dict[str, str], phase: str) -> None:
        begun = time.monotonic()
        body = self._front.post(page.url, form)
        self._crowd.note("submit", time.monotonic() - begun, phase=phase)
        self._told(page, form, body)

    def _told(self, page: Page, form: dict[str, str], body: dict[str, Any]) -> None:
        scores = {one: int(form[f"slider-1-100.{one}"]) for one in page.candidates}
        said: dict[str, Any] = {"pick": form["pick-1-of-n"], "scores": scores}
        self._crowd.note("told", assignment=page.assignment, **body, **said)

    def _skip(self, page: Page, ahead: Future[Page | None]) -> Page | None:
        ahead.result()  # what the page's script waits for, too: two claims at once would hold two items
        url = self._front.post(f"{page.url}skip", {"note": "I do not understand it"})["next"]
        self._crowd.note("skip", assignment=page.assignment)
        return self._front.page(url) if url else None


def main() -> None:
    """Let the annotators of the cards work, and write the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cards", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--paced", type=float, default=60.0, help="seconds of thinking before answers")
    parser.add_argument("--most", type=float, default=150.0, help="seconds after which nobody goes on")
    options = parser.parse_args()
    cards = json.loads(options.cards.read_text())
    crowd = Crowd(len(cards["people"]), options.paced, options.most)
    everybody = [
        Annotator(number, card, cards["home"], options.port, crowd)
        for number, card in enumerate(cards["people"])
    ]
    crowd.begin()
    for one in everybody:
        one.start()
    for one in everybody:
        one.join()
    options.rows.write_text("".join(json.dumps(row) + "\n" for row in crowd.rows))


if __name__ == "__main__":
    main()
