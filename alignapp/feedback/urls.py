"""Feedback's addresses."""

from django.urls import path

from alignapp.feedback import checks, said, views

app_name = "feedback"
urlpatterns = [
    path("", views.overview, name="list"),
    path("consistency/", checks.overview, name="consistency"),
    path("consistency/pair", checks.pair, name="pair"),
    path("said-and-shown/", said.overview, name="gaps"),
    path("said-and-shown/resolve", said.resolve_gap, name="resolve"),
    path("said-and-shown/<uuid:resolution_id>/reopen", said.reopen_gap, name="reopen"),
    path("turns/<uuid:turn_id>", views.give, name="give"),
    path("<uuid:feedback_id>/erase", views.erase, name="erase"),
]
