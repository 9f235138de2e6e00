"""What `celery -A workers.main` starts: the application with Django set up around it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alignapp.settings")
django.setup()

from workers import signals  # noqa: E402, F401 - connects the signals
from workers.app import app  # noqa: E402

__all__ = ["app"]
