"""The advice in words: one sentence why, what was measured of each method that may start, and a chart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from alignapp.adapters.advice import ACTING, INSTANT, Advised, advised, priors, reached
from alignapp.adapters.pages.parts import method_title
from alignapp.adapters.readiness import Given, Readiness, given_by, readiness
from alignapp.adapters.readiness import sentence as what_is_missing
from alignapp.charts import Bar, BarChart, Scale, bar_chart, plain

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from alignapp.accounts.models import Person
    from alignapp.adapters.pages.learning import LearnView
    from personalization.adviser import Advice, Measured

MINUTE = 60
WINS = plain(2)
# What acts without a job of its own, by the names of the adviser's table.
NAMES: Mapping[str, StrOrPromise] = {
    INSTANT: gettext_lazy("the vector that follows your ratings"),
    f"dpo+{INSTANT}": gettext_lazy("an adapter with that vector beside it"),
}
# Sentences count these kinds of feedback; nobody is told of "pairs".
KINDS: Mapping[str, StrOrPromise] = {
    "ratings": gettext_lazy("ratings"),
    "pairs": gettext_lazy("comparisons"),
    "thumbs": gettext_lazy("thumbs"),
    "edits": gettext_lazy("answers that you rewrote"),
    "critiques": gettext_lazy("words about answers"),
}
UNSOUND = gettext_lazy("But its answers left the question, or spoiled other text, clearly more often.")


@dataclass(frozen=True, slots=True)
class Choice:
    """One method that may start now, and what was measured of it."""

    name: str
    title: str
    words: str
    is_advised: bool


@dataclass(frozen=True, slots=True)
class AdviceView:
    """What to start, why, and what else may be; `sentence` is empty where there is nothing to advise on."""

    sentence: str
    beside: str  # what else counted in it
    source: str
    choices: list[Choice]
    chart: BarChart | None

    @property
    def is_advised(self) -> bool:
        """Whether one of the choices is preselected."""
        return any(choice.is_advised for choice in self.choices)


def advice_view(person: Person, given: Given, learn: Sequence[LearnView]) -> AdviceView | None:
    """Return what the page says before somebody learns; None where they gave nothing to learn from."""
    if not any(given.messages.values()):
        return None
    views = {view.info.name: view for view in learn if view.info.produces in ACTING}
    ready = [view for view in views.values() if view.readiness.is_ready and not view.open_job]
    found = advised(person, given, [view.info.name for view in ready])
    rows = reached(found.messages, [*views, *filter(None, [found.current]), INSTANT])
    measured = {row.method: row for row in rows}
    choices = [
        Choice(
            view.info.name,
            view.title,
            _measured(measured.get(view.info.name), found),
            view.info.name == found.advice.method,
        )
        for view in ready
    ]
    titles = {name: _article(view.title) for name, view in views.items()}
    return AdviceView(
        sentence=_unready(views.values(), ready) or sentence(found, titles),
        beside=_beside(found),
        source=source(),
        choices=sorted(choices, key=lambda choice: not choice.is_advised),
        chart=_chart(rows, titles),
    )


def advice_words(person: Person) -> str:
    """Return what a person reads as advice; empty where they gave nothing to learn from."""
    given = given_by(person)
    if not any(given.messages.values()):
        return ""
    items = [item for item in readiness(person, given) if item.method.produces in ACTING]
    ready = [item.method.name for item in items if item.is_ready]
    if not ready:
        return _not_yet(items)
    titles = {item.method.name: _article(method_title(item.method)) for item in items}
    found = advised(person, given, ready)
    return f"{sentence(found, titles)} {_beside(found)}".strip()


def source() -> str:
    """Say on whom it was measured."""
    return _("Measured on %(people)d simulated people with %(model)s, not on you.") % priors()


def sentence(found: Advised, titles: Mapping[str, str]) -> str:
    """Explain the advice in one sentence (two where something speaks against the nearest method)."""
    advice = found.advice
    words = _SENTENCES[advice.why](found, advice, titles)
    return words[:1].upper() + words[1:]


def _unready(views: Collection[LearnView], ready: Collection[LearnView]) -> str:
    """Say why nothing is advised now; empty where something can be."""
    if any(view.open_job for view in views):
        return _("What to learn next is advised when what is being learned now is done.")
    return "" if ready else _not_yet([view.readiness for view in views])


def _not_yet(items: Collection[Readiness]) -> str:
    """Say what is missing for the method that is nearest to being possible; none is ready."""
    if not items:
        return _("No advice: no way to learn from your feedback is switched on here.")
    nearest = min(items, key=lambda item: item.missing / item.needed)
    return _("Too early to learn. %(missing)s") % {"missing": what_is_missing(nearest)}


def _better(found: Advised, advice: Advice, titles: Mapping[str, str]) -> str:
    assert advice.nearest is not None
    return _("%(compared)s: training takes %(minutes)s.") % {
        "compared": _compared(found, advice, titles),
        "minutes": minutes_words(found.seconds.get(advice.nearest.method, advice.nearest.seconds)),
    }


def _nothing_beats(found: Advised, advice: Advice, titles: Mapping[str, str]) -> str:
    said = _("Nothing beats what you have: %(compared)s.") % {"compared": _compared(found, advice, titles)}
    if advice.gain <= 0:
        return said
    chance = _("That it is better for you has a chance of %(chance)d %%, too little to advise it.")
    return f"{said} {chance % {'chance': round(100 * advice.chance)}}"


def _unsound(found: Advised, advice: Advice, titles: Mapping[str, str]) -> str:
    said = _("Nothing beats what you have: %(compared)s.") % {"compared": _compared(found, advice, titles)}
    return f"{said} {UNSOUND}"


def _too_slow(found: Advised, advice: Advice, titles: Mapping[str, str]) -> str:
    assert advice.nearest is not None
    took = found.seconds.get(advice.nearest.method, advice.nearest.seconds)
    said = _("%(compared)s. It would take %(minutes)s, longer than is advised here.")
    return said % {"compared": _compared(found, advice, titles), "minutes": minutes_words(took)}


def _too_few(found: Advised, advice: Advice, titles: Mapping[str, str]) -> str:
    assert advice.nearest is not None
    return _("Too early to tell: %(method)s was measured with %(amount)s at least, you have %(have)d.") % {
        "method": titles.get(advice.nearest.method, advice.nearest.method),
        "amount": amount_words(advice.nearest.data, advice.nearest.amount),
        "have": found.messages.get(advice.nearest.data, 0),
    }


def _nothing_else(_found: Advised, advice: Advice, titles: Mapping[str, str]) -> str:
    now = advice.now
    assert now is not None
    names = {**NAMES, **titles}
    return _(
        "Nothing beats what you have, as far as was measured: with %(amount)s, %(now)s won %(wins)s of new "
        "comparisons with the base model, and nothing else that you can choose was measured."
    ) % {
        "amount": amount_words(now.data, now.amount),
        "now": names.get(now.method, now.method),
        "wins": WINS(now.win_rate.value),
    }


def _unmeasured(found: Advised, _advice: Advice, _titles: Mapping[str, str]) -> str:
    kinds = [str(name) for kind, name in KINDS.items() if found.messages.get(kind)]
    return _(
        "No advice: nothing that could be learned from your %(kinds)s was measured yet. You can still choose."
    ) % {"kinds": ", ".join(kinds)}


def _unmeasured_now(_found: Advised, advice: Advice, titles: Mapping[str, str]) -> str:
    assert advice.nearest is not None
    said = _("No advice: what acts for you now was not measured. With %(amount)s, %(method)s won %(wins)s.")
    return said % {
        "amount": amount_words(advice.nearest.data, advice.nearest.amount),
        "method": titles.get(advice.nearest.method, advice.nearest.method),
        "wins": WINS(advice.nearest.win_rate.value),
    }


_SENTENCES: Mapping[str, Callable[[Advised, Advice, Mapping[str, str]], str]] = {
    "better": _better,
    "nothing_beats": _nothing_beats,
    "unsound": _unsound,
    "too_slow": _too_slow,
    "too_few": _too_few,
    "nothing_else": _nothing_else,
    "unmeasured": _unmeasured,
    "unmeasured_now": _unmeasured_now,
}


def _compared(found: Advised, advice: Advice, titles: Mapping[str, str]) -> str:
    """Say what the nearest method won where it was measured, and what acts now."""
    row, now = advice.nearest, advice.now
    assert row is not None
    have = found.messages.get(row.data, 0)
    names = {**NAMES, **titles}
    words = {
        "have": amount_words(row.data, have),
        "amount": _("as many") if have == row.amount else str(row.amount),
        "method": names.get(row.method, row.method),
        "wins": WINS(row.win_rate.value),
        "now": names.get(now.method, now.method) if now else _("the base model that you have"),
        "now_wins": WINS(now.win_rate.value if now else 0.5),
    }
    return (
        _(
            "%(have)s; with %(amount)s, %(method)s won %(wins)s of new comparisons with the base model, "
            "%(now)s %(now_wins)s"
        )
        % words
    )


def amount_words(kind: str, count: int) -> str:
    """Say how much feedback of a kind there is."""
    compared = ngettext("%(n)d message compared", "%(n)d messages compared", count)
    said = ngettext(
        "%(n)d message compared and said something of", "%(n)d messages compared and said something of", count
    )
    words = {
        "thumbs": ngettext("%(n)d message with thumbs", "%(n)d messages with thumbs", count),
        "edits": ngettext("%(n)d answer rewritten", "%(n)d answers rewritten", count),
        "critiques": said,
        **dict.fromkeys(("pairs", "choices", "prompts", "contrasts"), compared),
    }
    rated = ngettext("%(n)d message rated", "%(n)d messages rated", count)
    return words.get(kind, rated) % {"n": count}


def minutes_words(seconds: float) -> str:
    """Say how long something takes, as nearly as anybody can say it."""
    if seconds < MINUTE / 2:
        return _("seconds")
    count = max(1, round(seconds / MINUTE))
    return ngettext("about %(n)d minute", "about %(n)d minutes", count) % {"n": count}


def wins_words(row: Measured) -> str:
    """Write the share that a method won, with its interval."""
    return f"{WINS(row.win_rate.value)} [{WINS(row.win_rate.low)}, {WINS(row.win_rate.high)}]"


def measured_words(row: Measured, seconds: float) -> str:
    """Say what a method won with how much feedback, and that learning takes so many seconds."""
    return _("Won %(wins)s with %(amount)s; %(minutes)s to learn.") % {
        "wins": wins_words(row),
        "amount": amount_words(row.data, row.amount),
        "minutes": minutes_words(seconds),
    }


def _measured(row: Measured | None, found: Advised) -> str:
    if row is None:
        return _("Not measured yet.")
    return measured_words(row, found.seconds.get(row.method, row.seconds))


def _beside(found: Advised) -> str:
    """Say whose outcomes counted, too."""
    said = []
    if found.own:
        own = ngettext(
            "%(n)d result of your own counts too.", "%(n)d results of your own count too.", found.own
        )
        said.append(own % {"n": found.own})
    if found.others:
        said.append(
            _("So does what %(n)d other people's held-out comparisons showed.") % {"n": found.others}
            if found.own
            else _("What %(n)d other people's held-out comparisons showed counts too.") % {"n": found.others}
        )
    return " ".join(said)


def wins_chart(title: str, labelled: Iterable[tuple[str, Measured]]) -> BarChart:
    """Draw what was won, the most last, beside a coin."""
    bars = [
        Bar(label, row.win_rate.value, row.win_rate.low, row.win_rate.high, row.win_rate.n)
        for label, row in sorted(labelled, key=lambda one: one[1].win_rate.value)
    ]
    note = _("The line is a coin: no better than the base model.")
    return bar_chart(title, bars, scale=Scale(reference=0.5), note=note)


def _chart(rows: Sequence[Measured], titles: Mapping[str, str]) -> BarChart | None:
    if not rows:
        return None
    names = {**NAMES, **titles}
    return wins_chart(
        _("Fresh answers that win against the base model"),
        [(f"{amount_words(row.data, row.amount)}: {names.get(row.method, row.method)}", row) for row in rows],
    )


def _article(title: str) -> str:
    """Return a method's title as it stands within a sentence."""
    inner = title[:1].lower() + title[1:]
    return (_("an %(title)s") if inner[:1] in "aeiou" else _("a %(title)s")) % {"title": inner}
