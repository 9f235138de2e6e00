from django.apps import AppConfig


class FeedbackConfig(AppConfig):
    name = "alignapp.feedback"
    label = "feedback"
