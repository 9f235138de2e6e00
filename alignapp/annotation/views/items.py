"""A manager's view of the items: the list, adding one by hand, and one item with what was said of it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.annotation import pages
from alignapp.annotation.item_form import ItemForm
from alignapp.annotation.models import Annotation, Assignment, Item
from alignapp.annotation.rights import managed_project
from alignapp.annotation.services import generation, queue
from alignapp.annotation.services import items as services
from alignapp.answers import PersonRequest, refusal, wants_fragment
from personalization.errors import AlignError

PER_PAGE = 50


@login_required
@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def items(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """List the items; add one. HTMX asks how far the models' writing is."""
    project = managed_project(request, project_id)
    if wants_fragment(request):
        context = {"project": project, "writing": generation.progress(project)}
        return render(request, "annotation/_writing.html", context)
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
    """Show one item with its candidates and every answer to it, those that were replaced too."""
    managed = Item.objects.managed_by(request.user).select_related("project")
    found = get_object_or_404(managed.prefetch_related("candidates"), id=item_id)
    said = Annotation.objects.filter(submission__assignment__item=found)
    said = said.select_related("submission__assignment__annotator")
    context = {
        "project": found.project,
        "item": found,
        "assignments": found.assignments.select_related("annotator"),
        "annotations": pages.in_words(said, [str(one.id) for one in found.candidates.all()], exact=True),
    }
    return render(request, "annotation/item.html", context)


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
