from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "alignapp.audit"
    label = "audit"
