from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "alignapp.quality"
    label = "quality"
