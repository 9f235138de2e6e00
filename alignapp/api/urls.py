"""The API for programs, and the page where a person makes the tokens for it."""

from django.urls import path

from alignapp.api import pages, projects, views

app_name = "api"
urlpatterns = [
    path("v1/models", views.models, name="models"),
    path("v1/chat/completions", views.chat_completions, name="chat_completions"),
    path("v1/projects", projects.projects, name="projects"),
    path("v1/projects/<uuid:project_id>/imports", projects.new_import, name="new_import"),
    path("v1/projects/<uuid:project_id>/export", projects.export, name="export"),
    path("v1/imports/<uuid:import_id>", projects.one_import, name="one_import"),
    path("v1/imports/<uuid:import_id>/commit", projects.commit, name="commit_import"),
    path("account/tokens/", pages.tokens, name="tokens"),
    path("account/tokens/<uuid:token_id>/revoke", pages.revoke, name="revoke"),
]
