from django.apps import AppConfig


class ProfilesConfig(AppConfig):
    name = "alignapp.profiles"
    label = "profiles"
