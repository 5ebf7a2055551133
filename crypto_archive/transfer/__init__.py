"""Run batches through s5cmd: lanes, a bounded window, retry, supervision, cancellation; events come out."""
