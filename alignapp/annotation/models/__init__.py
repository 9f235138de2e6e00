"""Rows of the annotators' console, from the project to the single judgement."""

from alignapp.annotation.models.answer import Annotation, Submission
from alignapp.annotation.models.assignment import Assignment
from alignapp.annotation.models.item import Candidate, Item
from alignapp.annotation.models.people import Invitation, Membership
from alignapp.annotation.models.project import Guidelines, Project

__all__ = [
    "Annotation",
    "Assignment",
    "Candidate",
    "Guidelines",
    "Invitation",
    "Item",
    "Membership",
    "Project",
    "Submission",
]
