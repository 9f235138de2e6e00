"""Where Django finds the admin's site. A module of its own, because it is read before any model is."""

from django.contrib.admin.apps import AdminConfig


class OperatorsAdminConfig(AdminConfig):
    """The stock admin, behind the panel's door."""

    default_site = "alignapp.panel.admin_site.OperatorsSite"
