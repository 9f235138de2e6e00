"""Old imports kept a made-up order of answers: the migration forgets it, and keeps one that a file told."""

from __future__ import annotations

import io
import json
from importlib import import_module

from django.apps import apps

from alignapp.annotation.models import Submission
from alignapp.annotation.services.projects import create_project
from alignapp.exchange import services
from alignapp.exchange.rows import commit
from personalization.exchange import registry

PAIR = {"prompt": "Why?", "chosen": "Because.", "rejected": "No.", "person": "ann", "licence": "CC-BY-4.0"}


def test_orders_that_were_made_up_for_old_imports_are_forgotten_and_told_ones_kept(owner):
    shown = {}
    for name in ("made up", "told"):
        project = create_project(owner, name=name)
        lines = [json.dumps({**PAIR, "id": str(n)}).encode() for n in range(12)]
        said = {"licence": "", "may_train": True}
        commit(project, services.read(io.BytesIO(b"\n".join(lines)), registry.get("trl-preference"), **said))
        for number, one in enumerate(Submission.objects.filter(assignment__item__project=project)):
            order = one.assignment.order[:: -1 if name == "told" and number == 5 else 1]
            shown[one.pk] = [{"candidate": candidate, "maker": ""} for candidate in order]
            Submission.objects.filter(pk=one.pk).update(shown=shown[one.pk])  # as imports once kept it
    migration = import_module("alignapp.exchange.migrations.0002_orders_that_no_file_told")
    migration.forget_made_up_orders(apps, None)
    for one in Submission.objects.select_related("assignment__item__project"):
        assert one.shown == (shown[one.pk] if one.assignment.item.project.name == "told" else [])
