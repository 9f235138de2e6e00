"""Read records from a file and write them to one, a record at a time; count what is left out and why.

Knows nothing of single formats, tables or pages. Memory does not grow with the number of rows.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import IO, Any, Literal

from personalization.exchange.licences import forbids_training
from personalization.exchange.neutral import Example, FormatError, Judgement, Neutral, Participant
from personalization.exchange.registry import Format, LeftOut
from personalization.exchange.source import LineError, Row, rows

Purpose = Literal["training", "analysis"]
NO_CONSENT = "the person has not agreed to training"
NOT_FOR_TRAINING = "the row may not be trained on"


@dataclass(frozen=True, slots=True)
class Read:
    """One record, and the line on which it begins."""

    line: int
    record: Neutral


def read(file: IO[bytes], form: Format) -> Iterator[Read | LineError]:
    """Yield the records of an open binary file, and the lines that hold none.

    Raises FormatError for a format that is only written.
    """
    if form.read is None:
        raise FormatError(f"{form.title} can be written and not read.")
    for group in _together(rows(file), form.together):
        if isinstance(group, LineError):
            yield group
            continue
        try:
            yield from [Read(group[0].line, record) for record in form.read([row.data for row in group])]
        except FormatError as error:
            first = group[0]
            where = f"Object {first.number}: " if first.number else ""
            yield LineError(first.line, f"{where}{error}")


def _together(found: Iterable[Row | LineError], column: str) -> Iterator[list[Row] | LineError]:
    """Yield rows one by one, or those that follow each other with the same value in a column."""
    held: list[Row] = []
    for one in found:
        if isinstance(one, LineError):
            yield one
            continue
        if held and not (column and one.data.get(column) == held[0].data.get(column) and len(held) < 1_000):
            yield held
            held = []
        held.append(one)
    if held:
        yield held


@dataclass
class Export:
    """One export: `lines` yields its text piece by piece; the counts are complete when it has ended."""

    form: Format
    purpose: Purpose
    rows: int = 0
    records: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    protocols: Counter[str] = field(default_factory=Counter)
    people: set[str] = field(default_factory=set)
    picks: Counter[str] = field(default_factory=Counter)  # of two answers; see `_watch`

    def lines(self, records: Iterable[Neutral]) -> Iterator[str]:
        """Yield the file's text in pieces, each a whole row; what is left out is counted."""
        encode = {"jsonl": _jsonl, "json": _json, "csv": _csv}[self.form.suffix]
        return encode(self._rows(records))

    def _rows(self, records: Iterable[Neutral]) -> Iterator[dict[str, Any]]:
        for group in _conversations(records, whole=self.form.whole_conversations):
            allowed = [kept for record in group if (kept := self._allowed(record)) is not None]
            for part in self._written(allowed):
                if isinstance(part, LeftOut):
                    self.left_out[part.reason] += part.count
                else:
                    self.rows += 1
                    yield part

    def _written(self, records: Sequence[Neutral]) -> Iterator[dict[str, Any] | LeftOut]:
        examples = [record for record in records if isinstance(record, Example)]
        if self.form.write_examples is None and examples:
            yield LeftOut("the format holds no answers", len(examples))
        elif self.form.write_examples and examples:
            yield from self.form.write_examples(examples)
        for record in records:
            if isinstance(record, Participant):
                if self.form.write_participant is None:
                    yield LeftOut("the format holds nothing that people say of themselves")
                else:
                    yield from self.form.write_participant(record)

    def _allowed(self, record: Neutral) -> Neutral | None:
        """Return what may be written of a record for this purpose, counted; None when nothing may."""
        closed = forbids_training(record.licence)
        if self.purpose == "training" and (closed or not record.may_train):
            what = f"its licence ({record.licence}) does not allow training" if closed else NOT_FOR_TRAINING
            self.left_out[what] += 1
            return None
        if isinstance(record, Example):
            if self.purpose == "training":
                agreed = tuple(one for one in record.judgements if one.may_train)
                self.left_out[NO_CONSENT] += len(record.judgements) - len(agreed)
                if record.judgements and not agreed:
                    return None
                if len(agreed) < len(record.judgements):
                    record = replace(record, judgements=agreed)
            self.languages[record.language or "not said"] += 1
            self.sources[record.source or "not said"] += 1
            for judgement in record.judgements:
                self.people.add(judgement.person)
                self.protocols.update({act.protocol or act.kind for act in judgement.acts})
                self._watch(record, judgement)
        else:
            self.people.add(record.person)
        self.licences[record.licence or "not said"] += 1
        self.records += 1
        return record

    def _watch(self, example: Example, judgement: Judgement) -> None:
        """Count what a careless annotator would show: the first of two picked, or the longer one."""
        picked = next((act.answer for act in judgement.acts if act.kind == "pick"), None)
        shown = judgement.order or tuple(range(len(example.answers)))
        if picked is None or len(shown) != 2 or picked not in shown:
            return
        other = shown[1] if picked == shown[0] else shown[0]
        self.picks["all"] += 1
        self.picks["first"] += bool(judgement.order) and picked == shown[0]
        self.picks["ordered"] += bool(judgement.order)
        self.picks["longer"] += len(example.answers[picked].text) > len(example.answers[other].text)


def _conversations(records: Iterable[Neutral], *, whole: bool) -> Iterator[list[Neutral]]:
    if not whole:
        yield from ([record] for record in records)
        return

    def conversation(numbered: tuple[int, Neutral]) -> tuple[str, int]:
        number, record = numbered
        name = record.conversation if isinstance(record, Example) else ""
        return (name, -1) if name else ("", number)

    for _key, group in groupby(enumerate(records), key=conversation):
        yield [record for _number, record in group]


def _jsonl(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    for row in found:
        yield json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _json(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    opening = "[\n"
    for row in found:
        yield opening + json.dumps(row, ensure_ascii=False, allow_nan=False)
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"


def _csv(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    names: list[str] = []
    for row in found:
        line = io.StringIO()
        writer = csv.writer(line)
        if not names:
            names = list(row)
            writer.writerow(names)
        writer.writerow([row.get(name, "") for name in names])
        yield line.getvalue()
