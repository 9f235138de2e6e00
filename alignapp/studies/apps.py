from django.apps import AppConfig


class StudiesConfig(AppConfig):
    name = "alignapp.studies"

    def ready(self) -> None:
        from alignapp.annotation.services.writers import OFFERS
        from alignapp.studies import judges, signals  # noqa: F401 - connects the receivers

        OFFERS.append(judges.writers)
