"""The web application, for an ASGI server (uvicorn)."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alignapp.settings")
application = get_asgi_application()

from alignapp.processes.tidying import keep_tidy  # noqa: E402 - it has models, which are loaded now

keep_tidy()
