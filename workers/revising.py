"""Let the model answer again where a person said something about its answer, once for each job.

Knows nothing of losses. What came of it is kept beside the job's checkpoint until it ends, so that an attempt
that goes on learns from the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from alignapp.adapters import store
from personalization.errors import NotEnoughData
from personalization.records import Message, Pair
from workers.judging import judge_for
from workers.work import Work

NAME = "revised.json"


def learn_from_words(work: Work) -> None:
    """Add the pairs that critiques and follow-ups taught to what the work learns from.

    Raises NotEnoughData where the person's comparisons cannot tell good answers from bad ones, or agree with
    none of the pairs.
    """
    file = store.checkpoint_folder(work.job.id) / NAME
    if file.exists():
        pairs = tuple(_pair(row) for row in json.loads(file.read_text()))
    else:
        pairs = _made(work)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps([asdict(pair) for pair in pairs]))
        partial.replace(file)
    if not pairs:
        raise NotEnoughData(
            "Your comparisons agree with none of the answers that the model wrote after your words, so there "
            "is nothing to learn from them yet.",
            missing=1,
        )
    work.train = replace(work.train, revised=pairs)


def came_of_words(work: Work) -> dict[str, int]:
    """Return how much was said of answers and how many pairs came of it, for the artifact's page."""
    if not work.train.revised:
        return {}
    said = len(work.train.critiques) + len(work.train.follow_ups)
    return {"critiques_and_follow_ups": said, "pairs_from_them": len(work.train.revised)}


def _made(work: Work) -> tuple[Pair, ...]:
    from personalization.training.revise import language_pairs

    return language_pairs(
        work.base,
        work.train.critiques,
        work.train.follow_ups,
        judge_for(work),
        seed=work.job.id.int % 2**31,
        report=lambda _progress: work.check(),
    )


def _pair(row: dict[str, object]) -> Pair:
    prompt = tuple(Message(**message) for message in row["prompt"])  # type: ignore[attr-defined]
    return Pair(**{**row, "sources": tuple(row["sources"]), "prompt": prompt})  # type: ignore[arg-type]
