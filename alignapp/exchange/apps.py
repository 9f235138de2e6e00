from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    name = "alignapp.exchange"

    def ready(self) -> None:
        from alignapp.exchange import signals  # noqa: F401
