"""The API for programs, and the page where a person makes the tokens for it."""

from django.urls import path

from alignapp.api import pages, views

app_name = "api"
urlpatterns = [
    path("v1/models", views.models, name="models"),
    path("v1/chat/completions", views.chat_completions, name="chat_completions"),
    path("account/tokens/", pages.tokens, name="tokens"),
    path("account/tokens/<uuid:token_id>/revoke", pages.revoke, name="revoke"),
]
