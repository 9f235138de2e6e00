"""What the panel has outside of /operate/: a person's page about looks at their data, and health."""

from django.urls import path

from alignapp.panel.views import health, leave

urlpatterns = [
    path("account/looks", leave.page, name="looks"),
    path("account/looks/allow", leave.give, name="give_leave"),
    path("account/looks/end", leave.take_back, name="take_back_leave"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
