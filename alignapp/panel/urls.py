"""The operators' pages, under /operate/."""

from django.urls import path

from alignapp.panel.views import adapters, overview

app_name = "panel"
urlpatterns = [
    path("", overview.page, name="overview"),
    path("adapters/", adapters.page, name="adapters"),
    path("adapters/compare/", adapters.compare, name="compare"),
    path("adapters/merge/", adapters.merge, name="merge"),
    path("adapters/prune/", adapters.prune_page, name="prune"),
    path("adapters/prune/now/", adapters.prune_now, name="prune_now"),
    path("adapters/<uuid:artifact_id>/", adapters.one, name="adapter"),
    path("adapters/<uuid:artifact_id>/verify/", adapters.verify, name="adapter_verify"),
    path("adapters/<uuid:artifact_id>/<slug:act>/", adapters.act, name="adapter_act"),
]
