"""Where a person states who they are and what they want."""

from django.urls import path

from alignapp.profiles.views import history, message, overview, personality, survey, values

app_name = "profiles"
urlpatterns = [
    path("", overview.overview, name="overview"),
    path("values/", values.edit, name="values"),
    path("values/preview/", values.preview, name="values_preview"),
    path("personality/", personality.start, name="personality"),
    path("personality/page/<int:number>/", personality.page, name="personality_page"),
    path("personality/answer/", personality.answer, name="personality_answer"),
    path("personality/finish/", personality.finish, name="personality_finish"),
    path("personality/result/", personality.result, name="personality_result"),
    path("personality/restart/", personality.restart, name="personality_restart"),
    path("personality/import/", personality.import_answers, name="personality_import"),
    path("survey/", survey.edit, name="survey"),
    path("message/", message.edit, name="message"),
    path("message/reset/", message.reset, name="message_reset"),
    path("history/", history.versions, name="history"),
    path("history/<uuid:version_id>/", history.version, name="version"),
]
