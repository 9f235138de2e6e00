"""The verbs of the audit record in words, as a person reads them on the account page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from alignapp.audit.models import AuditEvent

if TYPE_CHECKING:
    from django.db import models

_WORDS: dict[str, Promise] = {
    "account.created": _("Account made"),
    "account.erased": _("Account and everything of it deleted"),
    "account.exported": _("Everything exported"),
    "account.switched_off": _("Account switched off"),
    "account.switched_on": _("Account switched on"),
    "alignment.switched": _("Alignment changed"),
    "artifact.asked": _("Adapter or vector tried by an operator on questions of theirs"),
    "artifact.damaged": _("Adapter or vector found damaged"),
    "artifact.deleted": _("Adapter or vector deleted"),
    "artifact.downloaded": _("Adapter or vector downloaded"),
    "artifact.expired": _("Adapter or vector expired"),
    "artifact.fell_pinned": _("Adapter or vector kept, though it loses blind comparisons"),
    "artifact.pinned": _("Adapter or vector kept by an operator"),
    "artifact.promoted": _("Adapter or vector switched on by an operator"),
    "artifact.proof_asked": _("New proof of an adapter or vector asked for"),
    "artifact.quarantined": _("Adapter or vector put into quarantine"),
    "artifact.refused": _("Adapter or vector refused"),
    "artifact.restored": _("Adapter or vector back in service"),
    "artifact.rolled_back": _("Adapter or vector replaced by the one before"),
    "artifact.unpinned": _("Adapter or vector no longer kept by an operator"),
    "artifacts.pruned": _("Old versions deleted by rule"),
    "audit.exported": _("Audit record exported"),
    "backup.restored": _("Backup brought back"),
    "campaign.cancelled": _("Campaign cancelled"),
    "campaign.done": _("Campaign done"),
    "campaign.paused": _("Campaign paused"),
    "campaign.resumed": _("Campaign resumed"),
    "campaign.started": _("Campaign started"),
    "campaign.stopped": _("Campaign stopped by its rule"),
    "consent.given": _("Consent given"),
    "consent.withdrawn": _("Consent withdrawn"),
    "conversation.deleted": _("Conversation deleted"),
    "feedback.erased": _("Feedback deleted"),
    "gap.reopened": _("Said versus shown: opened again"),
    "gap.resolved": _("Said versus shown: answered"),
    "instant.forgotten": _("Ratings put aside"),
    "instant.quarantined": _("Vector from ratings quarantined"),
    "instant.remembered": _("All ratings count again"),
    "instant.switched": _("Use of ratings changed"),
    "job.cancelled": _("Learning stopped by an operator"),
    "job.reprioritised": _("Learning moved in the queue"),
    "job.retried": _("Learning queued again by an operator"),
    "job.started": _("Learning started"),
    "merge.given": _("A merge of your project's adapters is made for you"),
    "merge.joined": _("Your adapter of a project merged with others of its people"),
    "merge.taken_back": _("A merge that you were given is taken back"),
    "merge.started": _("Merge of adapters started by an operator"),
    "model.added": _("Base model put on record"),
    "model.check_asked": _("Check of a base model asked for"),
    "model.made_default": _("People moved to another base model"),
    "method.disabled": _("Learning method switched off"),
    "method.enabled": _("Learning method switched on"),
    "option.changed": _("Operating option changed"),
    "password.changed": _("Password changed"),
    "project.closed": _("Project closed"),
    "project.deleted": _("Project deleted"),
    "project.exported": _("Project exported"),
    "project.imported": _("File imported into a project"),
    "project.joined": _("Project joined"),
    "project.left": _("Project left"),
    "project.opened": _("Project opened"),
    "start.joined": _("Ratings count in the common taste"),
    "start.left": _("Ratings left out of the next common taste"),
    "start.made": _("Common taste made"),
    "start.switched": _("Where your alignment starts changed"),
    "study.started": _("Training on a project's answers started"),
    "study.stopped": _("Training on a project's answers stopped"),
    "person.revealed": _("Words were looked at"),
    "role.granted": _("Role in the operators' panel given"),
    "role.revoked": _("Role in the operators' panel taken away"),
    "second_factor.off": _("Second factor switched off"),
    "second_factor.on": _("Second factor set up"),
    "support.allowed": _("Leave given to a supporter"),
    "support.closed": _("Supporter closed the case"),
    "support.took_up": _("Supporter took the leave up"),
    "support.withdrawn": _("Leave of a supporter taken back"),
    "token.made": _("API token made"),
    "token.revoked": _("API token revoked"),
}


def in_words(verb: str) -> str:
    """Return what happened in words; a verb without any reads as it is: "thing.done" as "thing done"."""
    return str(_WORDS.get(verb) or verb.replace(".", " ").replace("_", " "))


def told_of(obj: models.Model, most: int) -> list[tuple[AuditEvent, str]]:
    """Return the latest events of a row, each with what happened in words. One query."""
    events = AuditEvent.objects.filter(object_id=str(obj.pk)).order_by("-id")[:most]
    return [(event, in_words(event.verb)) for event in events]
