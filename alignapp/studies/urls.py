"""Addresses of a project's models, below the project's own."""

from django.urls import path

from alignapp.studies import views

app_name = "studies"
urlpatterns = [
    path("<uuid:project_id>/models", views.page, name="page"),
    path("<uuid:project_id>/models/start", views.start, name="start"),
    path("studies/<uuid:study_id>/stop", views.stop, name="stop"),
    path("studies/<uuid:study_id>/judge", views.judge, name="judge"),
    path("studies/<uuid:study_id>/report.json", views.report, name="report"),
]
