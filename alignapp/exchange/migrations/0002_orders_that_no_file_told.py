"""Answers that were imported from files that do not say how they stood: forget the order made up for them.

Imports once kept the order of the file as the order on the screen, and most files list the preferred answer
first, so that everybody seemed to prefer the left. Where not one of a project's imported answers stood in
another order than that of its source, no file told one: of ten pairs in a random order one in 1,024 would.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Any

from django.db import migrations

LEAST = 10  # imported answers; fewer could stand so by chance
CHUNK = 500  # what SQLite takes in one question


def forget_made_up_orders(apps: Any, _schema_editor: Any) -> None:
    """Empty `shown` of the imported submissions of such projects; what was answered stays."""
    submissions = apps.get_model("annotation", "Submission").objects
    candidates = apps.get_model("annotation", "Candidate").objects
    for project in apps.get_model("annotation", "Project").objects.values_list("pk", flat=True):
        imported = submissions.filter(assignment__item__project=project, assignment__strategy="import")
        if is_made_up(imported.exclude(shown=[]), candidates):
            imported.update(shown=[])


def is_made_up(told: Any, candidates: Any) -> bool:
    """Say whether all of these submissions, enough of them, have the order of their item's source."""
    seen = 0
    rows = told.values_list("assignment__item_id", "shown").iterator(chunk_size=CHUNK)
    while chunk := list(islice(rows, CHUNK)):
        source = defaultdict(list)
        of_items = candidates.filter(item__in={item for item, _shown in chunk}).order_by("position")
        for item, candidate in of_items.values_list("item_id", "pk"):
            source[item].append(str(candidate))
        for item, shown in chunk:
            if [one["candidate"] for one in shown] != source[item]:
                return False
            seen += len(shown) > 1
    return seen >= LEAST


class Migration(migrations.Migration):
    dependencies = [("exchange", "0001_initial"), ("annotation", "0004_languages_and_order")]
    operations = [migrations.RunPython(forget_made_up_orders, migrations.RunPython.noop)]
