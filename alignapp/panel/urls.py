"""The operators' pages, under /operate/."""

from django.urls import path

from alignapp.panel.views import overview

app_name = "panel"
urlpatterns = [
    path("", overview.page, name="overview"),
]
