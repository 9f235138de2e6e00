"""A project's own pages: the list, the overview, settings and guidelines."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alignapp.annotation import forms, pages
from alignapp.annotation.models import Assignment, Membership, Project
from alignapp.annotation.project_form import ProjectForm
from alignapp.annotation.rights import joined, managed_project, own_project
from alignapp.annotation.services import attention, projects
from alignapp.answers import PersonRequest, refusal
from alignapp.audit.services import record
from alignapp.chat import markdown
from personalization.errors import AlignError


@login_required
@require_GET
def overview(request: PersonRequest) -> HttpResponse:
    """List the projects in which the person takes part."""
    return render(request, "annotation/list.html", {"memberships": pages.projects_of(request.user)})


@login_required
@require_http_methods(["GET", "POST"])
def new(request: PersonRequest) -> HttpResponse:
    """Make a project."""
    draft = Project(owner=request.user, protocols=[dict(one) for one in projects.DEFAULT_PROTOCOLS])
    form = ProjectForm(request.POST or None, instance=draft)
    if request.method == "POST" and form.is_valid():
        columns = {name: getattr(form.instance, name) for name in (*form.Meta.fields, "protocols")}
        said = form.cleaned_data
        project = projects.create_project(
            request.user, guidelines=said["guidelines"], invited=said["invited"], **columns
        )
        if said["invited"]:
            messages.success(
                request, _("The project is made. Send each person their link."), extra_tags="good"
            )
            return redirect("annotation:people", project.id)
        return redirect("annotation:project", project.id)
    return render(request, "annotation/settings.html", {"form": form}, status=400 if form.is_bound else 200)


@login_required
@require_GET
def project(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Show a manager how far the project is, and an annotator what waits for them."""
    member = joined(request, project_id)
    mine = Assignment.objects.for_person(request.user).filter(item__project=member.project)
    chosen = request.GET.get("state", "")
    listed = mine.filter(state=chosen) if chosen in Assignment.State.values else mine
    counts = pages.my_counts(member)
    guidelines = member.project.guidelines
    context: dict[str, Any] = {
        "project": member.project,
        "member": member,
        "guidelines": guidelines,
        "guidelines_html": markdown.render(guidelines.text, under=2) if guidelines else "",
        "queues": [(state, state.label, counts.get(state, 0)) for state in Assignment.State],
        "chosen": chosen,
        "is_stopped": attention.is_stopped(member, attention.of_member(member)),
        "mine": listed.select_related("item").order_by("-created_at")[:100],
    }
    if member.manages:
        context["progress"] = pages.progress(member.project)
        flagged = Assignment.objects.managed_by(request.user).filter(item__project=member.project)
        flagged = flagged.filter(state=Assignment.State.FLAGGED).select_related("item", "annotator")
        context["flagged"] = flagged[:50]
    return render(request, "annotation/project.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def settings(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Show and change a project's settings."""
    found = managed_project(request, project_id)
    form = ProjectForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        projects.change_project(form.instance)
        messages.success(request, _("Saved."), extra_tags="good")
        return redirect("annotation:project", found.id)
    context = {"form": form, "project": found}
    return render(request, "annotation/settings.html", context, status=400 if form.is_bound else 200)


@login_required
@require_GET
def guidelines(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Show every version; a manager gets a form for the next one."""
    member = joined(request, project_id)
    current = member.project.guidelines
    form = forms.GuidelinesForm(initial={"text": current.text if current else ""})
    return _guidelines_page(request, member, form)


@login_required
@require_POST
def add_guidelines(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Put the next version into force."""
    found = managed_project(request, project_id)
    form = forms.GuidelinesForm(request.POST)
    if not form.is_valid():
        return _guidelines_page(request, joined(request, project_id), form)
    back = reverse("annotation:guidelines", args=[found.id])
    try:
        added = projects.add_guidelines(found, **form.cleaned_data)
    except AlignError as error:
        return refusal(request, error, back)
    messages.success(request, _("Version %d is in force.") % added.number, extra_tags="good")
    return redirect(back)


def _guidelines_page(request: PersonRequest, member: Membership, form: forms.GuidelinesForm) -> HttpResponse:
    versions = member.project.guideline_versions.all()[:50]
    context = {
        "project": member.project,
        "member": member,
        "form": form if member.manages else None,
        "versions": [(one, markdown.render(one.text, under=1)) for one in versions],
    }
    return render(request, "annotation/guidelines.html", context, status=400 if form.is_bound else 200)


@login_required
@require_POST
def switch(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Close an open project, or open a closed one."""
    found = managed_project(request, project_id)
    Project.objects.filter(pk=found.pk, is_open=found.is_open).update(is_open=not found.is_open)
    record(request.user, "project.closed" if found.is_open else "project.opened", found)
    words = _("Closed: nobody can submit now.") if found.is_open else _("Open: annotators can go on.")
    messages.success(request, words, extra_tags="good")
    return redirect("annotation:project", found.id)


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Count what goes with a project, ask for its name, and delete it."""
    found = own_project(request, project_id)
    error = ""
    if request.method == "POST":
        if request.POST.get("name", "").strip() == found.name.strip():
            record(request.user, "project.deleted", found)
            found.delete()
            messages.success(request, _("The project was deleted."), extra_tags="good")
            return redirect("annotation:list")
        error = _("Type the name exactly as it stands above.")
    context = {
        "project": found,
        "error": error,
        "items": found.items.count(),
        "answers": Assignment.objects.filter(item__project=found, submitted_at__isnull=False).count(),
        "back": reverse("annotation:project", args=[found.id]),
    }
    return render(request, "annotation/delete.html", context, status=400 if error else 200)
