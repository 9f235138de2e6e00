"""Personal alignment as a library: records, methods, training, steering, engine, evaluation.

Knows nothing of Django, Celery, Redis or HTTP.
"""

__version__ = "0.1.0"
