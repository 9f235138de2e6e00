"""A look at a page: wide and on a phone, light and dark."""

from __future__ import annotations

import os
from pathlib import Path

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 780}
COLOURS = ["color-contrast", "link-in-text-block"]  # of axe's rules those that a scheme can break


def look(page: Page, name: str) -> None:
    """Fail where something lies beside the screen or axe finds anything, minor things too.

    Where LOOK names a folder, pictures are kept there.
    """
    page.evaluate(AXE_SCRIPT)
    for size in (WIDE, PHONE):
        page.set_viewport_size(size)
        beside = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beside <= 0, f"{name} is {beside} px wider than {size['width']} px"
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            if folder := os.environ.get("LOOK"):
                # caret="initial": to hide the caret Playwright would add a style, which our policy blocks.
                shot = Path(folder) / f"{name}-{size['width']}-{scheme}.png"
                page.screenshot(path=shot, full_page=True, caret="initial")
            rules = {"runOnly": COLOURS} if scheme == "dark" else {}
            found = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **rules})
            wrong = [(v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in found["violations"]]
            assert not wrong, (name, size["width"], scheme, wrong)
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
