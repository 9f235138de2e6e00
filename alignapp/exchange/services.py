"""The verbs: keep an uploaded file and look at it, have it committed, commit it, pack an export.

Knows nothing of requests. What is read and written is `personalization.exchange`'s matter.
"""

from __future__ import annotations

import logging
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.adapters import dispatch
from alignapp.annotation.models import Project
from alignapp.exchange.errors import Refused
from alignapp.exchange.models import Import
from alignapp.exchange.rows import Committed, commit
from alignapp.quality.judgements import MOST_ITEMS, judgements_of, sample_of
from alignapp.quality.models import Adjudication
from alignapp.zipping import Sink
from personalization.exchange import registry, source, transfer
from personalization.exchange.card import About, card
from personalization.exchange.licences import forbids_training
from personalization.exchange.neutral import Example, Neutral
from personalization.exchange.registry import Format
from personalization.exchange.source import LineError
from personalization.exchange.transfer import Export, Purpose, Read

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

log = logging.getLogger(__name__)
LOOKED_AT = 2_000  # records of a preview
LOOKING_SECONDS = 5.0
SHOWN = 5  # first records of a preview
PIECE = 64 * 1024  # bytes


def recognise(file: IO[bytes]) -> Format:
    """Return the format of a file's first readable row. Raises Refused; leaves the file at its beginning."""
    found = next((row for row in source.rows(file) if isinstance(row, source.Row)), None)
    file.seek(0)
    form = registry.recognise(found.data) if found else None
    if form is None or form.write_examples is None:
        columns = ", ".join(list(found.data)[:8]) if found else _("nothing that can be read")
        words = _("The format was not recognised (%s). Choose it in the list, and the file once more.")
        raise Refused(words % columns)
    return form


def read(file: IO[bytes], form: Format, *, licence: str, may_train: bool) -> Iterator[Read | LineError]:
    """Yield a file's records; rows that name no licence get the given one, and licences hold."""
    for one in transfer.read(file, form):
        if isinstance(one, Read):
            record = one.record
            of_row = record.licence or licence
            allowed = record.may_train and may_train and not forbids_training(of_row)
            if (of_row, allowed) != (record.licence, record.may_train):
                one = replace(one, record=replace(record, licence=of_row, may_train=allowed))
        yield one


def look_at(file: IO[bytes], form: Format, *, licence: str, may_train: bool) -> dict[str, Any]:
    """Return what a file's beginning holds: counts, first records, errors by line. Takes a few seconds."""
    until = time.monotonic() + LOOKING_SECONDS
    people: set[str] = set()
    counts = {"records": 0, "answers": 0, "judgements": 0, "closed": 0, "errors": 0}
    first: list[dict[str, Any]] = []
    errors: list[tuple[int, str]] = []
    is_whole = True
    for one in read(file, form, licence=licence, may_train=may_train):
        if isinstance(one, LineError):
            counts["errors"] += 1
            errors += [(one.line, one.problem)] if len(errors) < 20 else []
        elif isinstance(one.record, Example):
            counts["records"] += 1
            counts["answers"] += len(one.record.answers)
            counts["judgements"] += len(one.record.judgements)
            counts["closed"] += not one.record.may_train
            people |= {judgement.person for judgement in one.record.judgements}
            first += [_in_short(one.line, one.record)] if len(first) < SHOWN else []
        if counts["records"] + counts["errors"] >= LOOKED_AT or time.monotonic() > until:
            is_whole = False
            break
    return counts | {"people": len(people), "first": first, "list": sorted(errors), "is_whole": is_whole}


def _in_short(line: int, example: Example) -> dict[str, Any]:
    return {
        "line": line,
        "prompt": example.messages[-1].content[:200],
        "answers": [answer.text[:120] for answer in example.answers[:4]],
        "judgements": len(example.judgements),
    }


def upload(
    person: Person, project: Project, name: str, pieces: Iterable[bytes], *, form: str, licence: str,
    may_train: bool,
) -> Import:  # fmt: skip
    """Keep a file, look at it, and return the import that waits to be committed. Raises Refused."""
    row = Import(person=person, project=project, name=name[:200], licence=licence, may_train=may_train)
    row.path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with row.path.open("wb") as out:
            for piece in pieces:
                out.write(piece)
        with row.path.open("rb") as file:
            chosen = registry.get(form) if form else recognise(file)
            row.format = chosen.name
            row.preview = look_at(file, chosen, licence=licence, may_train=may_train)
        row.save()
    except BaseException:
        row.path.unlink(missing_ok=True)
        raise
    return row


def start(row: Import) -> None:
    """Have a worker commit it; one import of a project at a time. Raises Refused."""
    if not row.path.exists():
        raise Refused(_("The uploaded file is gone. Upload it again."))
    try:
        with transaction.atomic():
            ready = Import.objects.filter(pk=row.pk, state=Import.State.SHOWN)
            if ready.update(state=Import.State.QUEUED):
                dispatch.wake_for_import(row.pk)
    except IntegrityError:
        raise Refused(_("Another import of this project is under way. Wait until it has ended.")) from None


def discard(row: Import) -> None:
    """Forget an upload that was not committed."""
    if Import.objects.filter(pk=row.pk, state=Import.State.SHOWN).delete()[0]:
        row.path.unlink(missing_ok=True)


def run(row: Import) -> Committed:
    """Commit a claimed import, saying how far it is. Raises what the database or the lease raises."""
    size = max(row.path.stat().st_size, 1)
    with row.path.open("rb", buffering=0) as file:
        found = read(file, registry.get(row.format), licence=row.licence, may_train=row.may_train)
        done = commit(row.project, found, report=lambda now: row.report(file.tell() / size, now.counts()))
    row.finish(done.counts(), done.first_errors)
    return done


Source = Callable[[], Iterator[Neutral]]  # the records, anew for each file


def pack(records: Source, formats: Sequence[str], purpose: Purpose, about: About) -> Iterator[bytes]:
    """Yield a zip with a file for each format and the card, piece by piece; it is never whole in memory."""
    out = Sink()
    files: dict[str, Export] = {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for form in map(registry.get, formats):
            export = files[f"{form.name}.{form.suffix}"] = Export(form, purpose)
            with archive.open(f"{form.name}.{form.suffix}", "w", force_zip64=True) as inside:
                for line in export.lines(records()):
                    inside.write(line.encode())
                    if out.size > PIECE:
                        yield out.drain()
        archive.writestr("README.md", card(files, about))
    yield out.drain()


def about_project(project: Project) -> About:
    """Return what a project's card says of how it was collected."""
    how = [f"{one['name']}{' (required)' if one.get('required') else ''}" for one in project.protocols]
    guidelines = project.guidelines
    told = [f"Protocols of the project: {', '.join(how)}."] if how else []
    told += [f"Guidelines in force: version {guidelines.number}."] if guidelines else []
    told += [
        f"The makers of the answers were {'hidden' if project.blind else 'shown'}, their order "
        f"{'random for each person' if project.shuffled else 'that of the source'}; "
        f"each item by {project.overlap} or more where nothing else is said."
    ]
    decided = Adjudication.objects.current().filter(item__project=project).count()
    if decided:
        told += [f"Those who run it decided about {decided:,} items; these decisions are in no file here."]
    who = f"Members and imported people of the project “{project.name}” in alignapp."
    at = f"{timezone.localdate():%Y-%m-%d}"
    return About(project.name, at, project.description, who, told, _agreement(project))


def _agreement(project: Project) -> dict[str, str]:
    """Return how far people agree with themselves and beyond chance, as the quality page says it."""
    from personalization.agreement.people import alpha_figure
    from personalization.agreement.repeats import consistency

    within = sample_of(project)
    asked = [one for one in judgements_of(project, within=within) if one.right is None]
    own = consistency(asked)  # of all together: rows of single people would carry their names
    found = {"With oneself, on hidden repeats": own} if own else {}
    found |= {f"Krippendorff's alpha, {row.label}": row.estimate for row in alpha_figure(asked, seed=0).rows}
    where = "" if within is None else f", on a random sample of {MOST_ITEMS:,} items"
    return {
        name: f"{one.value:.2f}, 95 % interval {one.low:.2f} to {one.high:.2f} (n = {one.n:,}{where})"
        for name, one in found.items()
    }


def about_person(person: Person) -> About:
    """Return what the card of one person's own feedback says."""
    how = [
        "In the person's own chat, on answers of the model that they use; the makers were hidden at first."
    ]
    bias = ["One person: nothing in it holds for others."]
    title = f"Feedback of {person.pseudonym}"
    return About(title, f"{timezone.localdate():%Y-%m-%d}", "", "One person.", how, biases=bias)
