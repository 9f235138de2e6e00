"""The dataset card that goes with every export: Markdown with a YAML head, as the Hugging Face Hub reads it.

Knows nothing of tables: it says what the exports counted and what it is told about how they came to be.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from personalization.exchange.licences import forbids_training
from personalization.exchange.transfer import Export

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a collection besides its records."""

    title: str
    at: str  # the date of the export
    description: str = ""
    who: str = ""  # who judged, in words
    how: Sequence[str] = ()  # how they were asked, a sentence each
    agreement: Mapping[str, str] = field(default_factory=dict)  # by protocol, with its interval
    biases: Sequence[str] = ()  # known ones besides those that are counted


def card(files: Mapping[str, Export], about: About) -> str:
    """Return the card of these files, whose exports have ended."""
    parts = [_head(files, about), f"# {about.title}\n", about.description.strip()]
    parts += [_section("Who judged", [about.who, *_people(files.values())])]
    parts += [_section("How they were asked", [*about.how, *_protocols(files.values())])]
    parts += [_section("What is in it", _files(files))]
    agreement = [f"{name}: {value}" for name, value in about.agreement.items()]
    parts += [
        _section(
            "Agreement",
            agreement or ["Nothing tells: nobody was asked twice, and no two judged the same."],
        )
    ]
    parts += [_section("Licences", _licences(files.values()))]
    parts += [_section("What was left out, and why", _left_out(files))]
    parts += [_section("Known biases", [*about.biases, *_biases(files.values())])]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _head(files: Mapping[str, Export], about: About) -> str:
    languages = sorted({name for one in files.values() for name in one.languages if name != "not said"})
    rows = max((one.rows for one in files.values()), default=0)
    size = next((name for most, name in SIZES if rows < most), "n>1M")
    lines = ["---", f"pretty_name: {json.dumps(about.title, ensure_ascii=False)}"]
    lines += ["language:", *(f"- {json.dumps(name)}" for name in languages)] if languages else []
    lines += [f"license: {_hub_licence(_summed(one.licences for one in files.values()))}"]
    lines += ["size_categories:", f"- {size}", "tags:", "- preference", "- human-feedback"]
    lines += ["configs:"] if any(export.rows for export in files.values()) else []
    for name, export in files.items():
        if not export.rows:  # an empty file has no columns, which readers refuse
            continue
        lines += [f"- config_name: {export.form.name}", f"  data_files: {json.dumps(name)}"]
    return "\n".join([*lines, "---"])


def _hub_licence(licences: Counter[str]) -> str:
    """Return the one licence in the Hub's spelling; "other" for several, "unknown" for none."""
    if set(licences) <= {"not said"}:
        return "unknown"
    name = next(iter(licences)).lower()
    return name if len(licences) == 1 and re.fullmatch(r"[a-z0-9.-]+", name) else "other"


def _section(title: str, lines: Iterable[str]) -> str:
    told = [line for line in lines if line]
    return "\n".join([f"## {title}\n", *(f"- {line}" for line in told)]) if told else ""


def _people(exports: Iterable[Export]) -> Iterator[str]:
    count = len({person for export in exports for person in export.people})
    yield f"{count} people, under names that mean nothing elsewhere; no e-mail address is in the files."


def _protocols(exports: Iterable[Export]) -> Iterator[str]:
    most: dict[str, int] = {}
    for export in exports:
        for name, count in export.protocols.items():
            most[name] = max(most.get(name, 0), count)
    for name, count in sorted(most.items()):
        yield f"`{name}`: in {count:,} judgements"


def _files(files: Mapping[str, Export]) -> Iterator[str]:
    for name, one in files.items():
        counted = f"{one.rows:,} rows from {one.records:,} records, for {one.purpose}"
        yield f"`{name}`: {one.form.title}, {counted}. {one.form.loses}"
    for name, count in _summed(one.sources for one in files.values()).most_common(10):
        yield f"from {name}: {count:,} records"


def _licences(exports: Iterable[Export]) -> Iterator[str]:
    for name, count in _summed(one.licences for one in exports).most_common():
        closed = " (not for training)" if forbids_training(name) else ""
        yield f"{name}{closed}: {count:,} records"
    yield "Each row has its `licence` and `may_train`: the row's licence and the person's consent."


def _left_out(files: Mapping[str, Export]) -> Iterator[str]:
    for name, one in files.items():
        for reason, count in one.left_out.most_common():
            if count:
                yield f"`{name}`: {count:,}, {reason}"
    if not any(+one.left_out for one in files.values()):
        yield "Nothing."


def _biases(exports: Iterable[Export]) -> Iterator[str]:
    picks = max((one.picks for one in exports), key=lambda one: one["all"], default=Counter())
    if picks["ordered"]:
        share = picks["first"] / picks["ordered"]
        yield f"Of two answers the one shown first was picked in {share:.0%} of {picks['ordered']:,} cases."
    if picks["all"]:
        share = picks["longer"] / picks["all"]
        yield f"Of two answers the longer one was picked in {share:.0%} of {picks['all']:,} cases."
    yield "What people prefer is not what is true or safe, and these people stand for nobody but themselves."


def _summed(counters: Iterable[Counter[str]]) -> Counter[str]:
    """Return the largest count of each name: the files hold the same records in other shapes."""
    most: Counter[str] = Counter()
    for counter in counters:
        most |= counter
    return most
