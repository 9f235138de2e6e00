"""The queues' names: what a worker process takes decides what it is."""

TRAIN = "train"  # one process, one job at a time, or one batch of jobs that learn adapters
GENERATE = "generate"  # thread pool: all tasks of a process share one engine
EVALUATE = "evaluate"
HOUSEKEEPING = "housekeeping"
# Jobs for a base model that does not answer yet: a worker that was started with that model takes them.
OTHER_BASE = "other-base"
ALL = (TRAIN, GENERATE, EVALUATE, HOUSEKEEPING, OTHER_BASE)
