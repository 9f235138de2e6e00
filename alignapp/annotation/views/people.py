"""Who takes part: invitations made and taken, consent, and members who leave."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from alignapp.annotation import forms, pages
from alignapp.annotation.models import Invitation, Membership
from alignapp.annotation.rights import joined, managed_project
from alignapp.annotation.services import attention, projects
from alignapp.answers import PersonRequest, refusal
from alignapp.chat import markdown
from personalization.errors import AlignError


@login_required
@require_http_methods(["GET", "POST"])
def people(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """List members and invitations; make one more."""
    project = managed_project(request, project_id)
    form = forms.InvitationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        projects.invite(project, **form.cleaned_data)
        messages.success(request, _("Send the link; it works once, for two weeks."), extra_tags="good")
        return redirect("annotation:people", project.id)
    invitations = [
        (one, request.build_absolute_uri(reverse("annotation:join", args=[one.token])))
        for one in project.invitations.standing()
    ]
    context = {
        "project": project,
        "form": form,
        "members": pages.members(project),
        "invitations": invitations,
    }
    return render(request, "annotation/people.html", context, status=400 if form.is_bound else 200)


@login_required
@require_POST
def remove(request: PersonRequest, member_id: uuid.UUID) -> HttpResponse:
    """End somebody's membership; what they submitted stays."""
    member = get_object_or_404(
        Membership.objects.managed_by(request.user).select_related("project", "person"), id=member_id
    )
    back = reverse("annotation:people", args=[member.project_id])
    try:
        projects.remove(member)
    except AlignError as error:
        return refusal(request, error, back)
    messages.success(request, _("They are no member any more."), extra_tags="good")
    return redirect(back)


@login_required
@require_POST
def pardon(request: PersonRequest, member_id: uuid.UUID) -> HttpResponse:
    """Let somebody go on who missed too many attention checks."""
    managed = Membership.objects.managed_by(request.user).select_related("project", "person")
    member = get_object_or_404(managed, id=member_id)
    attention.pardon(member)
    messages.success(request, _("They get items again."), extra_tags="good")
    return redirect("annotation:people", member.project_id)


@login_required
@require_POST
def withdraw(request: PersonRequest, invitation_id: uuid.UUID) -> HttpResponse:
    """Make an invitation worthless."""
    invitation = get_object_or_404(Invitation.objects.managed_by(request.user), id=invitation_id)
    project_id = invitation.project_id
    invitation.delete()
    messages.success(request, _("The link does not work any more."), extra_tags="good")
    return redirect("annotation:people", project_id)


@login_required
@require_http_methods(["GET", "POST"])
def join(request: PersonRequest, token: str) -> HttpResponse:
    """Show what somebody is invited to, and take the invitation."""
    if request.method == "POST":
        try:
            member = projects.join(token, request.user)
        except AlignError as error:
            return refusal(request, error, reverse("annotation:list"))
        return redirect("annotation:consent", member.project_id)
    invitation = Invitation.objects.standing().filter(token=token).select_related("project").first()
    status = 200 if invitation else 404
    return render(request, "annotation/join.html", {"invitation": invitation}, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def consent(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Show what a member agrees to, and record that they do."""
    member = joined(request, project_id)
    if request.method == "POST":
        ticks = ("may_train", "lends", "shares")
        said = {tick: request.POST.get(tick) == "on" for tick in ticks}
        before = (member.may_train, member.shares)
        projects.agree(member, **said, languages=request.POST.getlist("languages"))
        if words := _taken_back(member, *before):
            messages.success(request, words, extra_tags="good")
        return redirect("annotation:project", project_id)
    context = {
        "project": member.project,
        "member": member,
        "text": markdown.render(member.project.consent_text, under=1),
    }
    return render(request, "annotation/consent.html", context)


def _taken_back(member: Membership, trained: bool, shared: bool) -> str:  # noqa: FBT001 - what it was before
    """Say what came of a tick that was taken away; nothing where none was."""
    if trained and not member.may_train:
        return _(
            "Taken back. What was learned from you and others together is deleted; your own adapter stays."
        )
    if shared and not member.shares:
        return _(
            "Taken back. No merge with your adapter acts for anybody any more, nor one that you were given."
        )
    return ""


@login_required
@require_http_methods(["GET", "POST"])
def leave(request: PersonRequest, project_id: uuid.UUID) -> HttpResponse:
    """Say what leaving takes with it, and let a member go."""
    member = joined(request, project_id)
    try:
        projects.check_may_leave(member)
        if request.method == "POST":
            projects.leave(member, with_answers=request.POST.get("delete_answers") == "on")
            messages.success(request, _("You left the project."), extra_tags="good")
            return redirect("annotation:list")
    except AlignError as error:
        return refusal(request, error, reverse("annotation:project", args=[project_id]))
    context = {"project": member.project, "member": member, "goes": pages.what_leaving_takes(member)}
    return render(request, "annotation/leave.html", context)
