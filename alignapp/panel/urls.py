"""The operators' pages, under /operate/."""

from django.urls import path

from alignapp.panel.views import adapters, audit, jobs, limits, live, methods, overview, people

app_name = "panel"
urlpatterns = [
    path("", overview.page, name="overview"),
    path("adapters/", adapters.page, name="adapters"),
    path("adapters/compare/", adapters.compare, name="compare"),
    path("adapters/merge/", adapters.merge, name="merge"),
    path("adapters/live/", live.page, name="live"),
    path("adapters/prune/", adapters.prune_page, name="prune"),
    path("adapters/prune/now/", adapters.prune_now, name="prune_now"),
    path("adapters/<uuid:artifact_id>/", adapters.one, name="adapter"),
    path("adapters/<uuid:artifact_id>/verify/", adapters.verify, name="adapter_verify"),
    path("adapters/<uuid:artifact_id>/<slug:act>/", adapters.act, name="adapter_act"),
    path("methods/", methods.page, name="methods"),
    path("jobs/", jobs.overview, name="jobs"),
    path("jobs/preview", jobs.preview, name="preview_jobs"),
    path("jobs/many", jobs.bulk, name="act_on_jobs"),
    path("jobs/<uuid:job_id>/", jobs.page, name="job"),
    path("jobs/<uuid:job_id>/cancel", jobs.cancel, name="cancel_job"),
    path("jobs/<uuid:job_id>/retry", jobs.retry, name="retry_job"),
    path("jobs/<uuid:job_id>/priority", jobs.prioritise, name="prioritise_job"),
    path("limits/", limits.page, name="limits"),
    path("limits/undo/<int:change_id>/", limits.undo_change, name="undo_limit"),
    path("limits/<str:name>/", limits.one, name="limit"),
    path("limits/<str:name>/change/", limits.change, name="change_limit"),
    path("people/", people.overview, name="people"),
    path("people/<uuid:person_id>/", people.page, name="person"),
    path("people/<uuid:person_id>/reveal", people.reveal, name="reveal"),
    path("people/<uuid:person_id>/help", people.take_up, name="take_up"),
    path("people/<uuid:person_id>/close", people.close, name="close_case"),
    path("audit/", audit.page, name="audit"),
    path("audit/verify", audit.verify, name="verify_audit"),
    path("audit/export", audit.export, name="export_audit"),
]
