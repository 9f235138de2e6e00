"""A manager's view of the items: the list, adding one by hand, and one item with what was said of it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alignapp.annotation import protocols
from alignapp.annotation.item_form import ItemForm
from alignapp.annotation.models import Annotation, Assignment, Item
from alignapp.annotation.rights import managed_project
from alignapp.annotation.services import generation, queue
from alignapp.annotation.services import items as services
from alignapp.answers import PersonRequest, refusal
from personalization.errors import AlignError

PER_PAGE = 50


@login_required
@require_http_methods(["GET", "POST"])
def items(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """List the items; add one."""
    project = managed_project(request, project_id)
    form = ItemForm(request.POST or None, project=project)
    if request.method == "POST" and form.is_valid():
        added = services.add_items(project, [form.item()])
        if not form.item().candidates:
            generation.go_on(project)
        words = _("Added.") if added.new else _("The project has this item already.")
        messages.success(request, words, extra_tags="good")
        return redirect("annotation:items", project.id)
    page = Paginator(project.items.order_by("-created_at", "-pk"), PER_PAGE)
    context = {
        "project": project,
        "form": form,
        "page": page.get_page(request.GET.get("page")),
        "writing": generation.progress(project),
    }
    return render(request, "annotation/items.html", context, status=400 if form.is_bound else 200)


@login_required
@require_POST
def write_again(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Let the answers be written anew where all of an item's failed."""
    project = managed_project(request, project_id)
    generation.try_again(project)
    generation.go_on(project)
    return redirect("annotation:items", project.id)


@login_required
@require_GET
def item(request: PersonRequest, item_id: uuid.UUID) -> HttpResponse:
    """Show one item with its candidates and every answer to it."""
    managed = Item.objects.managed_by(request.user).select_related("project")
    found = get_object_or_404(managed.prefetch_related("candidates"), id=item_id)
    said = Annotation.objects.current().filter(submission__assignment__item=found)
    said = said.select_related("submission__assignment__annotator", "candidate")
    context = {
        "project": found.project,
        "item": found,
        "assignments": found.assignments.select_related("annotator"),
        "annotations": [
            (act, protocols.label(act.protocol, act.attribute), _words(act, found)) for act in said
        ],
    }
    return render(request, "annotation/item.html", context)


def _words(act: Annotation, item: Item) -> str:
    """Return an act in one line, candidates by their number in the source."""
    numbers = {str(one.id): str(one.position + 1) for one in item.candidates.all()}
    if act.ranking is not None:
        return " > ".join(" = ".join(numbers.get(one, "?") for one in place) for place in act.ranking)
    if act.kind == Annotation.Kind.PICK and act.candidate is None:
        return _("all bad")
    about = _("answer %s") % (act.candidate.position + 1) if act.candidate else _("the item")
    value = act.score or act.thumb or ""
    marks = ngettext("%d mark", "%d marks", len(act.spans)) % len(act.spans) if act.spans else ""
    parts = [about, str(value), marks, act.text[:300]]
    return ": ".join(part for part in parts if part)


@login_required
@require_POST
def offer_again(request: PersonRequest, assignment_id: uuid.UUID) -> HttpResponse:
    """Give a flagged item's place to somebody else."""
    managed = Assignment.objects.managed_by(request.user).select_related("item")
    assignment = get_object_or_404(managed, id=assignment_id)
    try:
        queue.offer_again(assignment)
    except AlignError as error:
        return refusal(request, error, "..")
    messages.success(request, _("Somebody else gets it."), extra_tags="good")
    return redirect("annotation:project", assignment.item.project_id)
