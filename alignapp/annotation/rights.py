"""The first line of each view: the membership, or 404 as if the project did not exist."""

from __future__ import annotations

import uuid

from django.http import Http404
from django.shortcuts import get_object_or_404

from alignapp.annotation.access import Role
from alignapp.annotation.models import Assignment, Membership, Project
from alignapp.annotation.services.projects import member_of
from alignapp.answers import PersonRequest


def joined(request: PersonRequest, project_id: uuid.UUID) -> Membership:
    """Return the membership, with its project, of whoever asks. Raises Http404 for outsiders."""
    if (member := member_of(request.user, project_id)) is None:
        raise Http404
    return member


def joined_project(request: PersonRequest, project_id: uuid.UUID) -> Project:
    """Return a project in which whoever asks has any role. Raises Http404."""
    return joined(request, project_id).project


def managed_project(request: PersonRequest, project_id: uuid.UUID) -> Project:
    """Return a project that whoever asks owns or manages. Raises Http404."""
    member = joined(request, project_id)
    if not member.manages:
        raise Http404
    return member.project


def own_project(request: PersonRequest, project_id: uuid.UUID) -> Project:
    """Return a project of whoever asks. Raises Http404."""
    member = joined(request, project_id)
    if member.role != Role.OWNER:
        raise Http404
    return member.project


def assigned(request: PersonRequest, assignment_id: uuid.UUID) -> Assignment:
    """Return an assignment of whoever asks, in a project that they have not left. Raises Http404."""
    mine = Assignment.objects.for_person(request.user).filter(item__project__memberships__person=request.user)
    found: Assignment = get_object_or_404(
        mine.select_related("item__project", "annotator").prefetch_related("item__candidates"),
        id=assignment_id,
    )
    return found
