"""Addresses of data in and out."""

from django.urls import path

from alignapp.exchange import views

app_name = "exchange"
urlpatterns = [
    path("<uuid:project_id>/import", views.new_import, name="import"),
    path("imports/<uuid:import_id>/", views.one_import, name="one_import"),
    path("imports/<uuid:import_id>/commit", views.commit, name="commit"),
    path("imports/<uuid:import_id>/discard", views.discard, name="discard"),
    path("<uuid:project_id>/export", views.export, name="export"),
]
