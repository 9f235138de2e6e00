"""The addresses of alignment, jobs and artifacts. POST only where something changes."""

from django.urls import path

from alignapp.adapters.views import alignment, artifacts, duels, jobs, live, methods, values

app_name = "adapters"
urlpatterns = [
    path("", alignment.overview, name="alignment"),
    path("strengths", alignment.strengths, name="strengths"),
    path("switch", alignment.switch_part, name="switch_part"),
    path("back", alignment.go_back, name="go_back"),
    path("alarms/<uuid:alarm_id>/undo", live.undo, name="undo_alarm"),
    path("alarms/<uuid:alarm_id>/read", live.put_away, name="read_alarm"),
    path("values/", values.values, name="values"),
    path("methods/", methods.methods, name="methods"),
    path("jobs/", jobs.overview, name="jobs"),
    path("jobs/start", jobs.start, name="start_job"),
    path("jobs/<uuid:job_id>/", jobs.page, name="job"),
    path("jobs/<uuid:job_id>/cancel", jobs.cancel, name="cancel_job"),
    path("jobs/<uuid:job_id>/again", jobs.again, name="start_again"),
    path("artifacts/<uuid:artifact_id>/", artifacts.page, name="artifact"),
    path("artifacts/<uuid:artifact_id>/on", artifacts.switch_on, name="switch_on"),
    path("artifacts/<uuid:artifact_id>/download", artifacts.download, name="download"),
    path("artifacts/<uuid:artifact_id>/card.json", artifacts.card_json, name="card_json"),
    path("artifacts/<uuid:artifact_id>/README.md", artifacts.model_card, name="model_card"),
    path("artifacts/<uuid:artifact_id>/judge", duels.duel, name="duel"),
    path("artifacts/<uuid:artifact_id>/delete", artifacts.delete, name="delete"),
]
