from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "alignapp.campaigns"
    label = "campaigns"
