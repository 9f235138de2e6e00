"""The addresses of the vector that follows every rating; it is shown on "My alignment"."""

from django.urls import path

from alignapp.instant import views

app_name = "instant"
urlpatterns = [
    path("", views.choose, name="choose"),
    path("start", views.start, name="start"),
    path("forget", views.forget, name="forget"),
    path("remember", views.remember, name="remember"),
]
