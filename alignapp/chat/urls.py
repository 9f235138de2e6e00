"""The chat's addresses. POST only where something changes."""

from django.urls import path

from alignapp.chat import live, turns, views

app_name = "chat"
urlpatterns = [
    path("", views.conversations, name="list"),
    path("new", views.new, name="new"),
    path("count", views.candidate_count, name="count"),
    path("<uuid:conversation_id>/", views.conversation, name="conversation"),
    path("<uuid:conversation_id>/send", turns.send, name="send"),
    path("<uuid:conversation_id>/rename", views.rename, name="rename"),
    path("<uuid:conversation_id>/switches", views.switches, name="switches"),
    path("<uuid:conversation_id>/delete", views.delete, name="delete"),
    path("<uuid:conversation_id>/export", views.export, name="export"),
    path("turns/<uuid:turn_id>/", turns.turn, name="turn"),
    path("turns/<uuid:turn_id>/events", live.events, name="events"),
    path("turns/<uuid:turn_id>/stop", turns.stop, name="stop"),
    path("turns/<uuid:turn_id>/regenerate", turns.regenerate, name="regenerate"),
    path("turns/<uuid:turn_id>/edit", turns.edit, name="edit"),
    path("turns/<uuid:turn_id>/reveal", turns.reveal, name="reveal"),
    path("replies/<uuid:reply_id>/choose", turns.choose, name="choose"),
    path("replies/<uuid:reply_id>/compare", turns.compare, name="compare"),
    path("replies/<uuid:reply_id>/retry", turns.retry, name="retry"),
]
