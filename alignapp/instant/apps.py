from django.apps import AppConfig


class InstantConfig(AppConfig):
    name = "alignapp.instant"
    label = "instant"
