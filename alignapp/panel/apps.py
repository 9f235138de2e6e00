from django.apps import AppConfig


class PanelConfig(AppConfig):
    name = "alignapp.panel"
    label = "panel"
