from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "alignapp.demo"
    label = "demo"
