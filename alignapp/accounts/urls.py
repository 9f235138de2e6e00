"""The first page and the account."""

from django.urls import path

from alignapp.accounts import views

urlpatterns = [
    path("", views.home, name="home"),
    path("consent/", views.consent_text, name="consent"),
    path("account/", views.account, name="account"),
    path("account/consent", views.change_consent, name="change_consent"),
    path("account/export", views.export_everything, name="account_export"),
    path("account/delete", views.delete_everything, name="account_delete"),
]
