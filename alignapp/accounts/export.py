"""Write everything a person has here into one zip: a JSONL file for each model, and the artifact files."""

from __future__ import annotations

import base64
import json
import tempfile
import zipfile
from typing import IO, TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone

from alignapp.accounts.belongings import SECRET_FIELDS, rows_of
from alignapp.adapters import store
from alignapp.adapters.models import Artifact
from alignapp.instant.models import InstantVector
from personalization.errors import ArtifactError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

README = """Everything that alignapp holds about you, written on {at}.

Each .jsonl file is one table; each line is one row, as JSON. {rows} rows in all.

artifacts/ holds what was learned from your feedback: adapters in PEFT's format (load them with
peft.PeftModel.from_pretrained) and steering vectors as safetensors, each with a manifest.json that names
the records it was learned from.{missing}

Not in here: your password (only a hash of it is stored), your sessions, and the hashes that chain the
audit record together.
"""


def export(person: Person) -> IO[bytes]:
    """Return an open temporary file with the zip, at its beginning; closing it removes it.

    Rows stream through one at a time, so the size of an account does not matter to the memory.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        count = sum(_write_table(archive, model, rows) for model, rows in rows_of(person))
        for vector in InstantVector.objects.for_person(person):
            _write_folder(archive, vector, f"vector-from-ratings-{vector.digest[:8]}")
        theirs = Artifact.objects.for_person(person).select_related("job")
        absent = ((artifact, _why_absent(archive, artifact)) for artifact in theirs)
        names = "".join(f"\nThe files of {artifact} {why}." for artifact, why in absent if why)
        archive.writestr("README.txt", README.format(at=timezone.now(), rows=count, missing=names))
    file.seek(0)
    return file


def as_dict(row: models.Model) -> dict[str, Any]:
    """Return a row's columns by name, foreign keys as ids, without secrets."""
    return {
        field.attname: _plain(field.value_from_object(row))
        for field in row._meta.concrete_fields
        if field.name not in SECRET_FIELDS
    }


def _plain(value: Any) -> Any:
    """Return bytes as base64, which JSON can hold; anything else as it is."""
    return base64.b64encode(value).decode() if isinstance(value, bytes | memoryview) else value


def _write_table(archive: zipfile.ZipFile, model: type[models.Model], rows: models.QuerySet[Any]) -> int:
    count = 0
    with archive.open(f"{model._meta.label_lower}.jsonl", "w", force_zip64=True) as out:
        for row in rows.iterator(chunk_size=500):
            out.write(json.dumps(as_dict(row), default=str, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def _why_absent(archive: zipfile.ZipFile, artifact: Artifact) -> str:
    """Write an artifact's files, or return why they are not in the archive."""
    if artifact.is_of_several:
        return "are not in here: other people's adapters are in it, who may take them back"
    written = _write_folder(archive, artifact, f"{artifact.kind}-v{artifact.number}")
    return "" if written else "could not be found"


def _write_folder(archive: zipfile.ZipFile, artifact: Artifact | InstantVector, name: str) -> bool:
    try:
        files = sorted(store.folder_of(artifact).glob("*"))
    except ArtifactError:  # a bucket does not hold it whole
        return False
    for path in files:
        archive.write(path, f"artifacts/{name}/{path.name}")
    return bool(files)
