"""Feedback's addresses."""

from django.urls import path

from alignapp.feedback import views

app_name = "feedback"
urlpatterns = [
    path("", views.overview, name="list"),
    path("turns/<uuid:turn_id>", views.give, name="give"),
    path("<uuid:feedback_id>/erase", views.erase, name="erase"),
]
