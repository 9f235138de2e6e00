"""The page where a manager pastes a prompt and answers, and reads what the reward model makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp import charts
from alignapp.studies.models import RewardModel, Study
from alignapp.studies.trying import MOST_ANSWERS, MOST_CHARACTERS, Found, Tried

SHOWN = 2  # fields for answers; the others unfold
ALIKE = 1e-9  # log-odds


def _text(label: Any, *, rows: int, required: bool) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows, "dir": "auto"})
    return forms.CharField(label=label, required=required, max_length=MOST_CHARACTERS, widget=widget)


class TryForm(forms.Form):
    """A prompt and its answers, each in a field of its own."""

    prompt = _text(gettext_lazy("Prompt"), rows=3, required=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for number in range(1, MOST_ANSWERS + 1):
            label = _("Answer %(n)d") % {"n": number}
            self.fields[f"answer_{number}"] = _text(label, rows=4, required=number <= SHOWN)

    @classmethod
    def of(cls, tried: Tried) -> TryForm:
        """Return the form with what was pasted."""
        answers = {f"answer_{number}": text for number, text in enumerate(tried.answers, start=1)}
        return cls(initial={"prompt": tried.prompt, **answers})

    @property
    def answers(self) -> list[str]:
        """The answers that were pasted, in their order; of a valid form."""
        every = (self.cleaned_data[f"answer_{number}"] for number in range(1, MOST_ANSWERS + 1))
        return [text for text in every if text]

    @property
    def first_fields(self) -> list[forms.BoundField]:
        """The fields that are always shown."""
        return [self[name] for name in ("prompt", *(f"answer_{n}" for n in range(1, SHOWN + 1)))]

    @property
    def more_fields(self) -> list[forms.BoundField]:
        """The fields that unfold."""
        return [self[f"answer_{number}"] for number in range(SHOWN + 1, MOST_ANSWERS + 1)]

    @property
    def is_unfolded(self) -> bool:
        """Whether anything stands in those."""
        return any(each.value() or each.errors for each in self.more_fields)


@dataclass(frozen=True, slots=True)
class Row:
    """One answer, and what the reward model makes of it; `beats_first` is "" for the first one itself."""

    number: int
    text: str
    score: str
    beats_first: str
    is_best: bool


def page(study: Study, reward: RewardModel, form: TryForm) -> dict[str, Any]:
    """Return the context of the form."""
    return {
        "project": study.project,
        "study": study,
        "reward": reward,
        "form": form,
        "worth": worth(reward),
        "is_useful": reward.is_useful,
    }


def part(study: Study, reward: RewardModel, tried: Tried, found: Found) -> dict[str, Any]:
    """Return the context of the part that moves: how far it is, and what came of it."""
    return {
        "study": study,
        "tried": tried,
        "found": found,
        "of": len(tried.answers),
        "said": _said(found),
        "rows": _rows(tried, found),
        "is_useful": reward.is_useful,
    }


def worth(reward: RewardModel) -> list[str]:
    """Say how often it is right, how far its probabilities hold, and where nothing is known of it."""
    judged = reward.results["judges"][reward.way]
    is_mute = reward.results["rewards"][reward.way]["scale"] <= 0
    sure = _mute() if is_mute else _calibrated(judged["calibration"])
    return [_right(reward, judged["accuracy"]), sure, _elsewhere()]


def _right(reward: RewardModel, right: Mapping[str, Any]) -> str:
    known = {
        "right": charts.percent(right["value"]),
        "n": right["n"],
        "ends": charts.interval_words(right["low"], right["high"], charts.percent),
    }
    if not reward.is_useful:
        words = _(
            "Not shown better than a coin: on %(n)d comparisons that it did not see it is right in %(right)s "
            "(95 %% interval: %(ends)s). What it says of your answers decides nothing."
        )
    else:
        words = _(
            "On %(n)d comparisons that it did not see it is right in %(right)s (95 %% interval: %(ends)s), a "
            "coin in 50 %%."
        )
    return words % known


def _calibrated(found: Mapping[str, Any] | None) -> str:
    if not found:
        return _("How far its probabilities hold is not known: too few comparisons were held out.")
    points, ece = charts.plain(0), found["ece"]
    words = _(
        "Its probabilities were off by %(by)s points there on average (95 %% interval: %(ends)s); those of a "
        "perfect judge would have been off by %(chance)s, by chance."
    )
    return words % {
        "by": points(100 * ece["value"]),
        "ends": charts.interval_words(100 * ece["low"], 100 * ece["high"], points),
        "chance": points(100 * found["ece_by_chance"]),
    }


def _mute() -> str:
    return _("It gives every two answers 50 %: on what it did not see, its scores said nothing.")


def _elsewhere() -> str:
    return _(
        "All of this is for this project's items, its answers and its people. For other kinds of prompts or "
        "answers than theirs nothing was measured."
    )


def _said(found: Found) -> str:
    """Return in a sentence what came of it; "" before that."""
    if not found.log_odds:
        return ""
    if max(found.log_odds) - min(found.log_odds) < ALIKE:
        return _("It makes no difference between them.")
    if len(found.log_odds) > SHOWN:
        return _("Answer %(n)d is the likeliest to be preferred.") % {"n": _best(found) + 1}
    words = _("The first answer is preferred to the second with a probability of %(p)s.")
    return words % {"p": charts.percent(found.beats(0, 1))}


def _rows(tried: Tried, found: Found) -> list[Row]:
    if not found.log_odds:
        return []
    score, differ = charts.signed(2), max(found.log_odds) - min(found.log_odds) >= ALIKE
    return [
        Row(
            place + 1,
            text,
            score(found.log_odds[place]),
            charts.percent(found.beats(place, 0)) if place else "",
            differ and place == _best(found),
        )
        for place, text in enumerate(tried.answers)
    ]


def _best(found: Found) -> int:
    return max(range(len(found.log_odds)), key=lambda place: found.log_odds[place])
