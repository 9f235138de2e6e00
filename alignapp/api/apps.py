from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "alignapp.api"
    label = "api"
