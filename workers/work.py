"""What the stages of one attempt at a job share, and how far they are. Knows nothing of what they do."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alignapp.adapters.models import Job
from personalization.errors import NotEnoughData
from personalization.progress import Progress, Report
from personalization.records import Records

if TYPE_CHECKING:
    from personalization.models.base import BaseModel
    from personalization.registry import Method
    from personalization.safety.gate import Gate

# The share of the progress bar at which each phase begins.
BEGINS = {Job.Phase.DATA: 0.0, Job.Phase.LEARN: 0.05, Job.Phase.PROVE: 0.8, Job.Phase.FINISHED: 1.0}


@dataclass(kw_only=True)
class Evidence:
    """What a version is proven with: what may have taught it, and what never did."""

    job: Job
    base: BaseModel
    check: Callable[[], None]  # raises when the attempt must end
    system_message: str
    records: Records
    train: Records
    held_out: Records
    safety: Gate | None = None  # of what was learned, where learning asked the gate already

    def report(self, phase: Job.Phase) -> Report:
        """Return a listener that writes a phase's progress into the job's row, once a second at most."""
        ends = min(share for share in BEGINS.values() if share > BEGINS[phase])
        last = 0.0

        def listen(progress: Progress) -> None:
            nonlocal last
            self.check()
            ended = progress.step == progress.steps
            if not ended and not progress.values and time.monotonic() - last < 1.0:
                return
            last = time.monotonic()
            share = BEGINS[phase] + (ends - BEGINS[phase]) * progress.step / max(progress.steps, 1)
            point = {"step": float(progress.step), **progress.values} if progress.values else None
            self.job.report(phase, share, seconds_left=progress.seconds_left, point=point)

        return listen


@dataclass(kw_only=True)
class Work(Evidence):
    """What the stages of one attempt at learning or merging share."""

    method: Method
    parameters: dict[str, float]


def hold_out(
    job: Job, records: Records, learned: Collection[str], taught_all: str
) -> tuple[Records, Records]:
    """Return what may have taught, and everything else, of conversations that none of the learned is like.

    The first attempt keeps with the job which they are. Raises NotEnoughData, in these words, where nothing
    else is there.
    """
    from personalization.evaluation.split import alike

    if not job.split:
        same = alike(records.every)
        taken = {same.get(name, name) for name in learned}
        usable = sorted({r.conversation for r in (*records.pairs, *records.groups)})
        fresh = [name for name in usable if same[name] not in taken]
        if not fresh:
            raise NotEnoughData(f"{taught_all} It needs feedback in a new conversation.", missing=1)
        train = [name for name in usable if same[name] in taken]
        job.keep_split({"seed": job.id.int % 2**31, "train": train, "held_out": fresh})
    return records.of(job.split["train"]), records.of(job.split["held_out"])
