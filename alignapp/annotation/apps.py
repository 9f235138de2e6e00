"""The annotators' console as a Django app."""

from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    """Projects in which several people judge the same answers."""

    name = "alignapp.annotation"
