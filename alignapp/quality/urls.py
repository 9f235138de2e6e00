"""Addresses of the quality pages, below a project's own."""

from django.urls import path

from alignapp.quality.views import differences, figures

app_name = "quality"
urlpatterns = [
    path("<uuid:project_id>/quality", figures.quality, name="quality"),
    path("<uuid:project_id>/quality/mine", figures.mine, name="mine"),
    path("<uuid:project_id>/quality/differences", differences.differences, name="differences"),
    path("<uuid:project_id>/quality/<slug:table>.<slug:kind>", figures.export, name="export"),
    path("items/<uuid:item_id>/decision", differences.decide, name="decide"),
]
