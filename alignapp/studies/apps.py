from django.apps import AppConfig


class StudiesConfig(AppConfig):
    name = "alignapp.studies"

    def ready(self) -> None:
        from alignapp.studies import signals  # noqa: F401 - connects the receivers
