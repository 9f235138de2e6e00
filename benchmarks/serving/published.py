"""A page that is measured anew in part: the other parts stay as they were published, each with its commit."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LLAMA = "llama.cpp, four bits"
OURS = "ours, adapters and vectors"
_ABOUT = frozenset({"machine", "commit", "commits", "model", "watch", "least_seconds", "beside"})


def with_published(new: Mapping[str, Any], about: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return new parts, the folder's page's other parts, and the commit of each, under "commits".

    What the page is `about`, its machine, commit and load, goes with the main table. A llama.cpp that was not
    there this time is the published one; "beside" holds our tokens a second in the runs of others that were
    measured before. Raises FileNotFoundError without a page.
    """
    old = json.loads((folder / "serving.json").read_text())
    parts = {name: part for name, part in old.items() if name not in _ABOUT}
    commits: dict[str, str] = {**dict.fromkeys(parts, old["commit"]), **old.get("commits", {})}
    found = parts | dict(new)
    found |= about if "side_by_side" in new else {name: old[name] for name in about}
    mine, before = (each["side_by_side"]["tokens_per_second"] for each in (found, old))
    beside = dict(old.get("beside", {}))
    if "side_by_side" in new:
        others = {"vllm", LLAMA} & {*old, *before}
        beside = {name: beside.get(name, before[OURS]["median"]) for name in sorted(others - {*mine})}
    # Another run may be of another machine: what it measured is compared with what was ours beside it.
    found["beside"] = {name: ours for name, ours in beside.items() if name not in new}
    if LLAMA in before and LLAMA not in mine:
        mine[LLAMA] = before[LLAMA]
        commits.setdefault(LLAMA, commits["side_by_side"])
    return found | {"commits": commits | dict.fromkeys(new, about["commit"])}


def earlier(found: Mapping[str, Any]) -> str:
    """Return a sentence about the parts of other commits than the page's; empty where there are none."""
    of: dict[str, list[str]] = defaultdict(list)
    for part, commit in found.get("commits", {}).items():
        if commit != found["commit"]:
            of[commit].append(part)
    told = "; ".join(f"{commit}: {', '.join(parts)}" for commit, parts in of.items())
    return f"Parts that were measured at other commits: {told}.\n" if told else ""
