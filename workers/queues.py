"""The queues' names: what a worker process takes decides what it is."""

TRAIN = "train"  # one process, one job at a time, or one batch of jobs of the same adapter method
GENERATE = "generate"  # thread pool: all tasks of a process share one engine
EVALUATE = "evaluate"
HOUSEKEEPING = "housekeeping"
ALL = (TRAIN, GENERATE, EVALUATE, HOUSEKEEPING)
