from django.apps import AppConfig


class InstantConfig(AppConfig):
    name = "alignapp.instant"
    label = "instant"

    def ready(self) -> None:
        """Listen for stated values and for consents that end."""
        from alignapp.instant import signals  # noqa: F401
