"""The web application, for an ASGI server (uvicorn)."""

import gc
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alignapp.settings")
# numpy and scipy read it when they are loaded, later. The figures of a page are small: several threads
# only wait for each other, and beside other programs the quality page took 5 s in place of 0.6.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
application = get_asgi_application()

from django.urls import get_resolver  # noqa: E402 - settings are read now

from alignapp.processes.tidying import keep_tidy  # noqa: E402 - it has models, which are loaded now

keep_tidy()
# Every page is imported before the first request, which would wait for it. What is loaded by then stays: else
# Python's full garbage collections walk over all of it, some 100 ms, in the middle of every eighth long list.
get_resolver().url_patterns  # noqa: B018 - reading it imports
gc.collect()
gc.freeze()
