"""Every route: each app brings its own `urls.py`."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("alignapp.accounts.urls")),
    path("accounts/", include("alignapp.accounts.auth_urls")),
    path("profile/", include("alignapp.profiles.urls")),
    path("chat/", include("alignapp.chat.urls")),
    path("feedback/", include("alignapp.feedback.urls")),
    path("annotate/", include("alignapp.annotation.urls")),
    path("annotate/", include("alignapp.exchange.urls")),
    path("alignment/ratings/", include("alignapp.instant.urls")),
    path("alignment/", include("alignapp.adapters.urls")),
    path("annotate/", include("alignapp.quality.urls")),
    path("annotate/", include("alignapp.studies.urls")),
    path("", include("alignapp.api.urls")),
    path("", include("alignapp.panel.site_urls")),
    path("operate/api/v1/", include("alignapp.panel.api.urls")),
    path("operate/", include("alignapp.panel.urls")),
    path("admin/", admin.site.urls),
]
