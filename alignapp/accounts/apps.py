from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "alignapp.accounts"
    label = "accounts"

    def ready(self) -> None:
        from alignapp.accounts import signals  # noqa: F401 - connects the receivers
