"""Sums over the replicas of a training on several devices (see `training.distribution`)."""

from __future__ import annotations

from typing import Any

from edge_retina.model.keras import tf


def replica_count() -> int:
    """Return the number of replicas that compute the same step; 1 outside of any strategy."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context is not None else 1


def sum_over_replicas(values: Any) -> Any:
    """Return the sum of a tensor, or of each of a list of them, over all replicas."""
    if replica_count() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
