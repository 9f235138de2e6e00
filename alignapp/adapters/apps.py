from django.apps import AppConfig


class AdaptersConfig(AppConfig):
    name = "alignapp.adapters"
    label = "adapters"
