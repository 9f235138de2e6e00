"""Whether this worker process was told to stop. Long tasks look and give their work back."""

import threading

requested = threading.Event()


class ShuttingDown(Exception):
    """The worker stops; the job goes on elsewhere from its last checkpoint."""
