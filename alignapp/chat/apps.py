from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "alignapp.chat"
    label = "chat"
