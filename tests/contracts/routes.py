"""Every route of the site, who may use it and how. A new route needs a line here, or `test_routes.py` fails.

Access is one of
- `public`: everybody.
- `private`: whoever signed in, on rows of their own; others are sent to sign in.
- `token`: whoever shows a token; a session opens nothing, so there is no form to forge.
- `panel`: people with one of `roles` in the operators' panel, who showed two factors; with another role 403,
  without any 404.
- `owned`: has ids in its address, and answers 404 to everybody but the owner of all of them.
- `joined`, `managed`, `led`: has ids of a project of several people, and answers 404 to all but its members,
  its managers and owner, or its owner (`test_roles.py`).
`ids` names the row (a field of `tests.web.everything.Everything`) for each id in the address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Access = Literal["public", "private", "token", "owned", "joined", "managed", "led", "panel"]


@dataclass(frozen=True)
class Route:
    """One named route: its methods, and what an owner's request without any data may answer."""

    name: str
    access: Access
    methods: str = "GET"
    ids: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, object] = field(default_factory=dict)  # arguments that are no row
    answers: tuple[int, ...] = (200, 302, 400)
    anonymous: tuple[int, ...] = (302,)
    roles: tuple[str, ...] = ()

    @property
    def is_hidden(self) -> bool:
        """Whether it answers 404 to outsiders."""
        return self.access not in ("public", "private", "token")


def _public(name: str, methods: str = "GET", **fields) -> Route:
    return Route(name, "public", methods, **fields)


def _private(name: str, methods: str = "GET", **fields) -> Route:
    return Route(name, "private", methods, **fields)


def _token(name: str, methods: str = "GET", ids: str = "", status: int = 401, **fields) -> Route:
    rows = dict(pair.split("=") for pair in ids.split())
    return Route(name, "token", methods, ids=rows, answers=(status,), anonymous=(status,), **fields)


def _owned(name: str, methods: str, ids: str, **fields) -> Route:
    return Route(name, "owned", methods, ids=dict(pair.split("=") for pair in ids.split()), **fields)


def _project(name: str, access: Access, methods: str, ids: str = "project_id=project", **fields) -> Route:
    ids_ = dict(pair.split("=") for pair in ids.split())
    full = name if ":" in name else f"annotation:{name}"
    return Route(full, access, methods, ids=ids_, **fields)


def _managed(name: str, methods: str, ids: str) -> Route:
    return Route(name, "managed", methods, ids=dict(pair.split("=") for pair in ids.split()))


def _panel(
    name: str, methods: str = "GET", roles: str = "operator auditor", ids: str = "", **fields
) -> Route:
    rows = dict(pair.split("=") for pair in ids.split())
    return Route(name, "panel", methods, ids=rows, roles=tuple(roles.split()), **fields)


PROJECT = "project_id=project"
IMPORT = "import_id=uploaded"
CONVERSATION = "conversation_id=conversation"
TURN = "turn_id=turn"
REPLY = "reply_id=reply"
JOB = "job_id=job"
PERSON = "person_id=person"
ARTIFACT = "artifact_id=artifact"
NOTHING = "00000000-0000-4000-8000-000000000000"  # what lies in the broker only
ALARM = "alarm_id=alarm"
ASSIGNMENT = "assignment_id=assignment"

ROUTES = [
    _public("home"),
    _public("consent"),
    _public("healthz"),
    _public("readyz", answers=(200, 503)),
    _public("metrics"),
    _public("account_signup", "GET POST"),
    _public("account_login", "GET POST"),
    _public("account_logout", "GET POST"),
    _public("account_inactive"),
    _public("account_email_verification_sent"),
    _public("account_confirm_email", "GET POST", fixed={"key": "no-such-key"}, answers=(200, 302, 404)),
    _public("account_reset_password", "GET POST"),
    _public("account_reset_password_done"),
    _public("account_reset_password_from_key", "GET POST", fixed={"uidb36": "zz", "key": "no-such-key"}),
    _public("account_reset_password_from_key_done"),
    _private("account_reauthenticate", "GET POST"),
    _public("mfa_authenticate", "GET POST"),
    _private("mfa_index"),
    _private("mfa_reauthenticate", "GET POST"),
    _private("mfa_activate_totp", "GET POST"),
    _private("mfa_qr_code", answers=(200, 404)),
    _private("mfa_deactivate_totp", "GET POST", answers=(302, 404)),
    _private("mfa_view_recovery_codes", answers=(200, 302, 404)),
    _private("mfa_generate_recovery_codes", "GET POST"),
    _private("mfa_download_recovery_codes", answers=(200, 302, 404)),
    _private("account_change_password", "GET POST"),
    _private("account", "GET POST"),
    _private("change_consent", "POST"),
    _private("account_export"),
    _private("looks"),
    _private("give_leave", "POST"),
    _private("take_back_leave", "POST"),
    _private("account_delete", "GET POST"),
    _token("api:models"),
    _token("api:chat_completions", "POST"),
    _token("api:projects"),
    _token("api:new_import", "POST", "project_id=project"),
    _token("api:export", ids="project_id=project"),
    _token("api:one_import", ids=IMPORT),
    _token("api:commit_import", "POST", IMPORT),
    _private("api:tokens", "GET POST"),
    _owned("api:revoke", "POST", "token_id=token"),
    _private("profiles:overview"),
    _private("profiles:values", "GET POST"),
    _private("profiles:values_preview", "POST"),
    _private("profiles:personality"),
    _private("adapters:values", "GET POST"),
    _private("profiles:personality_page", "GET POST", fixed={"number": 1}),
    _private("profiles:personality_answer", "POST"),
    _private("profiles:personality_finish", "GET POST"),
    _private("profiles:personality_result"),
    _private("profiles:personality_restart", "POST"),
    _private("profiles:personality_import", "GET POST"),
    _private("profiles:survey", "GET POST"),
    _private("profiles:message", "GET POST"),
    _private("profiles:message_reset", "POST"),
    _private("profiles:history"),
    _owned("profiles:version", "GET", "version_id=version"),
    _private("instant:choose", "POST"),
    _private("instant:forget", "POST"),
    _private("instant:start", "POST"),
    _private("instant:remember", "POST"),
    _private("chat:list"),
    _private("chat:new", "POST"),
    _private("chat:count", "POST"),
    _owned("chat:conversation", "GET", CONVERSATION),
    _owned("chat:send", "POST", CONVERSATION),
    _owned("chat:rename", "POST", CONVERSATION),
    _owned("chat:switches", "POST", CONVERSATION),
    _owned("chat:delete", "GET POST", CONVERSATION),
    _owned("chat:export", "GET", CONVERSATION),
    _owned("chat:turn", "GET", TURN),
    _owned("chat:events", "GET", TURN, anonymous=(401,)),
    _owned("chat:stop", "POST", TURN),
    _owned("chat:regenerate", "POST", TURN),
    _owned("chat:edit", "POST", TURN),
    _owned("chat:reveal", "POST", TURN),
    _owned("chat:choose", "POST", REPLY),
    _owned("chat:compare", "POST", REPLY),
    _owned("chat:retry", "POST", REPLY),
    _private("feedback:list"),
    _private("feedback:consistency"),
    _private("feedback:pair", "GET POST"),
    _private("feedback:gaps"),
    _private("feedback:resolve", "POST"),
    _owned("feedback:reopen", "POST", "resolution_id=resolution"),
    _owned("feedback:give", "POST", TURN),
    _owned("feedback:erase", "POST", "feedback_id=feedback"),
    _private("adapters:alignment"),
    _private("adapters:strengths", "POST"),
    _private("adapters:switch_part", "POST"),
    _private("adapters:go_back", "POST"),
    _owned("adapters:undo_alarm", "POST", ALARM),
    _owned("adapters:read_alarm", "POST", ALARM),
    _private("adapters:methods"),
    _private("adapters:jobs"),
    _private("adapters:start_job", "POST"),
    _owned("adapters:job", "GET", JOB),
    _owned("adapters:cancel_job", "POST", JOB),
    _owned("adapters:start_again", "POST", JOB),
    _owned("adapters:artifact", "GET", ARTIFACT),
    _owned("adapters:switch_on", "POST", ARTIFACT),
    _owned("adapters:download", "GET", ARTIFACT),
    _owned("adapters:card_json", "GET", ARTIFACT),
    _owned("adapters:model_card", "GET", ARTIFACT),
    _owned("adapters:duel", "GET POST", ARTIFACT),
    _owned("adapters:delete", "GET POST", ARTIFACT),
    _private("annotation:list"),
    _private("annotation:new", "GET POST"),
    _private("annotation:join", "GET POST", fixed={"token": "no-such-token"}, answers=(200, 302, 404)),
    _project("project", "joined", "GET"),
    _project("consent", "joined", "GET POST"),
    _project("leave", "joined", "GET POST"),
    _project("next", "joined", "POST"),
    _project("guidelines", "joined", "GET"),
    _project("settings", "managed", "GET POST"),
    _project("people", "managed", "GET POST"),
    _project("items", "managed", "GET POST"),
    _project("write_again", "managed", "POST"),
    _project("switch", "managed", "POST"),
    _project("delete", "led", "GET POST"),
    _project("add_guidelines", "managed", "POST"),
    _project("remove", "managed", "POST", "member_id=membership"),
    _project("pardon", "managed", "POST", "member_id=membership"),
    _project("withdraw", "managed", "POST", "invitation_id=invitation"),
    _project("item", "managed", "GET", "item_id=item"),
    _project("offer_again", "managed", "POST", "assignment_id=assignment"),
    _managed("exchange:import", "GET POST", PROJECT),
    _managed("exchange:export", "GET POST", PROJECT),
    _managed("exchange:one_import", "GET", IMPORT),
    _managed("exchange:commit", "POST", IMPORT),
    _managed("exchange:discard", "POST", IMPORT),
    _owned("annotation:work", "GET POST", ASSIGNMENT),
    _owned("annotation:draft", "POST", ASSIGNMENT),
    _owned("annotation:skip", "POST", ASSIGNMENT),
    _owned("annotation:flag", "POST", ASSIGNMENT),
    _owned("annotation:reopen", "POST", ASSIGNMENT),
    _project("quality:quality", "managed", "GET"),
    _project("quality:export", "managed", "GET", fixed={"table": "all", "kind": "csv"}),
    _project("quality:differences", "managed", "GET"),
    _project("quality:decide", "managed", "GET POST", "item_id=item"),
    _project("quality:mine", "joined", "GET"),
    _project("studies:page", "managed", "GET"),
    _project("studies:start", "managed", "POST"),
    _project("studies:stop", "managed", "POST", "study_id=study"),
    _project("studies:judge", "managed", "GET POST", "study_id=study"),
    _project("studies:report", "managed", "GET", "study_id=study"),
    _panel("panel:overview", roles="operator auditor support"),
    _panel("panel:methods"),
    _panel("panel:jobs"),
    _panel("panel:preview_jobs", "POST", "operator"),
    _panel("panel:act_on_jobs", "POST", "operator"),
    _panel("panel:job", ids=JOB),
    _panel("panel:cancel_job", "POST", "operator", JOB),
    _panel("panel:retry_job", "POST", "operator", JOB),
    _panel("panel:prioritise_job", "POST", "operator", JOB),
    _panel("panel:people", roles="operator auditor support"),
    _panel("panel:person", roles="operator auditor support", ids=PERSON),
    _panel("panel:reveal", "POST", "operator support", PERSON),
    _panel("panel:take_up", "POST", "support", PERSON),
    _panel("panel:close_case", "POST", "support", PERSON),
    _panel("panel:adapters"),
    _panel("panel:adapter", ids=ARTIFACT),
    _panel("panel:adapter_verify", "POST", ids=ARTIFACT),
    _panel("panel:adapter_act", "POST", "operator", ARTIFACT, fixed={"act": "pin"}),
    _panel("panel:prove", "POST", "operator", ARTIFACT),
    _panel("panel:give", "POST", "operator", ARTIFACT),
    _panel("panel:compare"),
    _panel("panel:merge", "POST", "operator"),
    _panel("panel:ask", "POST", "operator"),
    _panel("panel:asked", roles="operator", fixed={"asked_id": NOTHING}, answers=(302, 404)),
    _panel("panel:live"),
    _panel("panel:limits"),
    _panel("panel:limit", fixed={"name": "jobs.per_day"}),
    _panel("panel:change_limit", "POST", "operator", fixed={"name": "jobs.per_day"}),
    _panel("panel:undo_limit", "POST", "operator", fixed={"change_id": 1}, answers=(302, 404)),
    _panel("panel:prune", roles="operator"),
    _panel("panel:prune_now", "POST", "operator"),
    _panel("panel:models"),
    _panel("panel:add_model", "POST", "operator"),
    _panel("panel:model", ids="model_id=known"),
    _panel("panel:check_model", "POST", "operator", "model_id=known"),
    _panel("panel:make_model_default", "POST", "operator", "model_id=known"),
    _panel("panel:campaigns"),
    _panel("panel:plan_campaign", roles="operator"),
    _panel("panel:start_campaign", "POST", "operator"),
    _panel("panel:campaign", ids="campaign_id=campaign"),
    _panel("panel:act_on_campaign", "POST", "operator", "campaign_id=campaign", fixed={"act": "pause"}),
    _panel("panel:audit"),
    _panel("panel:verify_audit", "POST"),
    _panel("panel:export_audit"),
    _panel("panel:tokens"),
    _panel("panel:new_token", "GET POST"),
    _panel("panel:revoke_token", "POST", ids="token_id=token", answers=(404,)),  # no token for operators
    _token("operator_api:openapi"),
    _token("operator_api:overview"),
    _token("operator_api:workers"),
    _token("operator_api:artifacts"),
    _token("operator_api:artifact", ids=ARTIFACT),
    _token("operator_api:act_on_artifact", "POST", ARTIFACT),
    _token("operator_api:verify_artifact", "POST", ARTIFACT),
    _token("operator_api:prove_artifact", "POST", ARTIFACT),
    _token("operator_api:give_artifact", "POST", ARTIFACT),
    _token("operator_api:merge_artifacts", "POST"),
    _token("operator_api:compare_artifacts"),
    _token("operator_api:ask_artifacts", "POST"),
    _token("operator_api:asked_answers", fixed={"asked_id": NOTHING}),
    _token("operator_api:alarms"),
    _token("operator_api:pruning_preview"),
    _token("operator_api:prune_artifacts", "POST"),
    _token("operator_api:jobs"),
    _token("operator_api:job", ids=JOB),
    _token("operator_api:act_on_job", "POST", JOB),
    _token("operator_api:people"),
    _token("operator_api:person", fixed={"pseudonym": "p-0123456789"}),
    _token("operator_api:campaigns", "GET POST"),
    _token("operator_api:start_a_campaign", "GET POST"),
    _token("operator_api:campaign", ids="campaign_id=campaign"),
    _token("operator_api:campaign_people", ids="campaign_id=campaign"),
    _token("operator_api:plan_a_campaign", "POST"),
    _token("operator_api:act_on_a_campaign", "POST", "campaign_id=campaign"),
    _token("operator_api:options"),
    _token("operator_api:option", "GET POST", fixed={"name": "jobs.per_day"}),
    _token("operator_api:set_an_option", "GET POST", fixed={"name": "jobs.per_day"}),
    _token("operator_api:option_changes"),
    _token("operator_api:undo_option_change", "POST", fixed={"change_id": 1}),
    _token("operator_api:try_a_preset", "POST", fixed={"method": "dpo"}),
    _token("operator_api:models", "GET POST"),
    _token("operator_api:add_a_model", "GET POST"),
    _token("operator_api:model", ids="model_id=known"),
    _token("operator_api:check_a_model", "POST", "model_id=known"),
    _token("operator_api:make_a_model_default", "POST", "model_id=known"),
    _token("operator_api:events"),
    _token("operator_api:export_events"),
    _token("operator_api:unknown", "GET POST", status=404, fixed={"address": "nowhere"}),
]
