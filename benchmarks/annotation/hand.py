"""A hand on the keys of a real browser: how many presses an item takes, and how soon the next one is there.

Chromium without a window, one annotator, pairs and then four ratings. The hand rests for a second on each
item, in which the next one is fetched; the seconds count from the last press. Needs playwright, which the
tests have, and Debian's chromium.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PRESSES = {"pair": ("1", "Control+Enter"), "four": ("9", "4", "7", "1", "Control+Enter")}
REST_MS = 1_000


def measure(address: str, homes: dict[str, str], count: int) -> dict[str, Any] | None:
    """Return presses and seconds for each task; None where there is no Chromium or no playwright."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if chromium is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": "sessionid", "value": homes["session"], "url": address}])
        page = context.new_page()
        found = {name: _task(page, homes[name], PRESSES[name], count) for name in PRESSES}
        browser.close()
    return found


def _task(page: Page, home: str, keys: tuple[str, ...], count: int) -> dict[str, Any]:
    page.goto(home)
    page.get_by_role("button", name="Next item").click()
    page.wait_for_selector("#work")
    seconds, pressed = [], 0
    for _ in range(count):
        page.wait_for_timeout(REST_MS)
        before = page.locator("#work").get_attribute("data-assignment")
        for key in keys[:-1]:
            page.keyboard.press(key)
        begun = time.monotonic()
        page.keyboard.press(keys[-1])
        page.locator(f"#work:not([data-assignment='{before}'])").wait_for(state="attached")
        seconds.append(time.monotonic() - begun)
        pressed += len(keys)
    return {"keys": pressed / count, "seconds": seconds}
