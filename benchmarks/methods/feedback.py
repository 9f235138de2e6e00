"""What the same ratings are as each kind of feedback. Knows nothing of methods.

A person of `benchmarks.people` rated four answers to each prompt. A thumb is up above the middle of the
slider, for the best and the worst answer of a prompt; an edit puts the best answer in the worst one's place,
so an edit here is no better written than the model writes. A critique is what the person states of
themselves, typed about the worst answer of a prompt: words that no other kind has.
"""

from __future__ import annotations

from benchmarks.people.arms import Rated
from personalization.records import Critique, Edit, RatedGroup, Records, Thumb
from personalization.training.examples import examples_of
from personalization.training.settings import TrainingSettings

KINDS = ("pairs", "choices", "thumbs", "ratings", "edits", "contrasts", "critiques", "prompts")
MIDDLE = 50
MOST_EPOCHS = 4  # a few texts read more often are learned by heart


def records_of(rated: Rated, kind: str, prompts: int) -> Records:
    """Return the first prompts' feedback of this kind, and nothing of the others."""
    groups = rated.groups(prompts)
    # Choices are a message's pairs together; of prompts, the pairs make the judge of what is written anew;
    # beside critiques they are learned from, too.
    if kind in ("pairs", "choices", "contrasts", "prompts"):
        return Records(pairs=tuple(rated.pairs(prompts)))
    if kind == "critiques":
        words = " ".join(rated.person.stated_values)
        told = tuple(_critique(group, words) for group in groups if len(set(group.scores)) > 1)
        return Records(pairs=tuple(rated.pairs(prompts)), critiques=told)
    if kind == "ratings":
        return Records(groups=tuple(groups))
    if kind == "thumbs":
        return Records(thumbs=tuple(thumb for group in groups for thumb in _thumbs(group)))
    return Records(edits=tuple(_edit(group) for group in groups if len(set(group.scores)) > 1))


def settings_of(
    records: Records, kind: str, budget: Records, *, system_message: str, taught: bool
) -> tuple[TrainingSettings, int]:
    """Return settings with which about as many answers are read as of `budget`'s pairs, and how many are."""
    usual = TrainingSettings()
    aim = usual.epochs * _answers(budget, "pairs", "", usual)
    each = _answers(records, kind, system_message, usual)
    epochs = min(MOST_EPOCHS, max(1, round(aim / each)))
    teaching = usual.teaching if taught else 0.0
    return TrainingSettings(epochs=epochs, teaching=teaching), epochs * each


def _answers(records: Records, kind: str, message: str, settings: TrainingSettings) -> int:
    examples = examples_of(records, kind, system_message=message, settings=settings)
    return sum(len(example.answers) for example in examples)


def _thumbs(group: RatedGroup) -> list[Thumb]:
    scores = group.scores
    chosen = dict.fromkeys((scores.index(max(scores)), scores.index(min(scores))))
    return [
        Thumb(group.conversation, (), group.prompt, group.completions[i], scores[i] > MIDDLE) for i in chosen
    ]


def _critique(group: RatedGroup, words: str) -> Critique:
    worst = group.completions[group.scores.index(min(group.scores))]
    return Critique(group.conversation, (), group.prompt, worst, words)


def _edit(group: RatedGroup) -> Edit:
    best, worst = (group.completions[group.scores.index(find(group.scores))] for find in (max, min))
    return Edit(group.conversation, (), group.prompt, worst, best)
