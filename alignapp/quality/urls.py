"""Addresses of the quality pages, below a project's own."""

from django.urls import path

from alignapp.quality import views

app_name = "quality"
urlpatterns = [
    path("<uuid:project_id>/quality", views.quality, name="quality"),
    path("<uuid:project_id>/quality/mine", views.mine, name="mine"),
    path("<uuid:project_id>/quality/<slug:table>.<slug:kind>", views.export, name="export"),
]
