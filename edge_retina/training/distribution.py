"""One training on several devices: the GPUs of a machine, or machines that TF_CONFIG names.

Every replica computes the losses of its part of a batch, gradients are added up, and all replicas
make the same update. A training is the same as on one device, but for rounding: the losses are
divided by the positive anchors of the whole batch, and BatchNorms use its statistics.

The average of the weights is an ordinary network in every process, because only the trained
network and its optimizer are mirrored. So evaluations need nothing of the other processes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from edge_retina.cluster import VARIABLE, Cluster, cluster_of
from edge_retina.config import TrainConfig
from edge_retina.errors import ConfigError, TrainingError
from edge_retina.input_pipeline.pipeline import BatchPart
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import synchronise_batchnorm
from edge_retina.training.batchnorm import batchnorms

log = logging.getLogger(__name__)

# What TensorFlow raises when a process of the cluster is gone or was never there.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.InternalError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)


class Distribution:
    """The devices of a training; without a strategy it is this process on one device."""

    def __init__(
        self, strategy: tf.distribute.Strategy | None = None, cluster: Cluster | None = None
    ) -> None:
        """Take a strategy of TensorFlow, and the processes that it spans."""
        self.strategy, self.cluster = strategy, cluster or Cluster()
        self._sum_of_flags = tf.function(lambda flag: self.sum_of(tf.identity, flag))

    @property
    def replicas(self) -> int:
        """The number of devices of all processes."""
        return self.strategy.num_replicas_in_sync if self.strategy is not None else 1

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which variables are made that all replicas have."""
        return self.strategy.scope() if self.strategy is not None else nullcontext()

    def part_of(self, batch_size: int) -> BatchPart:
        """Return what this process draws of a batch.

        Raises:
            ConfigError: it can't be divided evenly.
        """
        if batch_size % self.replicas:
            raise ConfigError(
                f"train.batch_size is {batch_size}, but {self.replicas} devices share each batch; "
                f"set a multiple of {self.replicas}"
            )
        images = batch_size // self.cluster.workers
        return BatchPart(self.cluster.index * images, images)

    def synchronise_batchnorms(self, model: keras.Model) -> None:
        """Let the BatchNorms of a mirrored model use the statistics of the whole batch."""
        if self.strategy is not None:
            for norm in batchnorms(model):
                synchronise_batchnorm(norm)

    def distribute(self, batches: tf.data.Dataset) -> Iterator[Any]:
        """Return an iterator over batches, each divided into a piece for every own device.

        TensorFlow's distributed datasets are not used: the end of one waits, with Python's lock,
        for input functions that need this lock.
        """
        pieces = self.replicas // self.cluster.workers
        return iter(batches) if pieces == 1 else self._divided(batches, pieces)

    def _divided(self, batches: tf.data.Dataset, pieces: int) -> Iterator[Any]:
        place = self.strategy.experimental_distribute_values_from_function  # type: ignore[union-attr]
        for batch in batches:
            parts = list(zip(*(tf.split(value, pieces) for value in batch), strict=True))
            yield place(lambda context: parts[context.replica_id_in_sync_group % pieces])  # noqa: B023

    def require_same(self, fingerprint: str, *, what: str) -> None:
        """Compare a text of every process.

        Args:
            fingerprint: hex digits.
            what: it stands for, in the plural, for the message.

        Raises:
            TrainingError: they differ; names the processes.
        """
        if self.cluster.workers == 1:
            return
        own = tf.constant([[int(fingerprint[at : at + 8], 16) for at in range(0, 64, 8)]], tf.int64)
        with self.losing_workers():
            found = self.strategy.gather(own, axis=0).numpy()  # type: ignore[union-attr]
        other = np.flatnonzero((found != found[0]).any(axis=1))
        if len(other):
            raise TrainingError(
                f"worker {other[0]} has other {what} than worker 0; give all workers the same "
                "config and data, and a RUN that all of them can reach"
            )

    def agree(self, flag: bool) -> bool:
        """Whether the chief says so; all processes must ask."""
        if self.cluster.workers == 1:
            return flag
        said = tf.constant(float(flag and self.cluster.is_chief))
        return bool(self._sum_of_flags(said).numpy() > 0)

    def wait(self) -> None:
        """Return when all processes have come here."""
        self.agree(False)

    def sum_of(self, compute: Callable[..., tf.Tensor], *args: Any) -> tf.Tensor:
        """Return the sum of what every replica computes of its pieces of `args`."""
        if self.strategy is None:
            return compute(*args)
        values = self.strategy.run(compute, args=args)
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    def local(self, value: Any) -> tf.Tensor:
        """Return the value of the first own device."""
        if self.strategy is None:
            return value
        return self.strategy.experimental_local_results(value)[0]

    @contextmanager
    def losing_workers(self) -> Iterator[None]:
        """Say in one line that a process of the cluster is gone.

        Raises:
            TrainingError: it is.
        """
        try:
            yield
        except _LOST as error:
            if self.cluster.workers == 1:
                raise
            raise TrainingError(
                f"{self.cluster.this_worker} lost another one ({_reason(error)}); start all of "
                "them again to go on from the last checkpoint"
            ) from None


def open_distribution(settings: TrainConfig, *, devices: Sequence[str] = ()) -> Distribution:
    """Return the devices of a training; in a cluster, wait for the other processes.

    To be called before TensorFlow has computed anything in this process.

    Args:
        settings: `distribution` and `batch_size`.
        devices: names of the devices of this machine; by default its GPUs.

    Raises:
        ConfigError: TF_CONFIG can't be used, or the batch can't be divided.
        TrainingError: the cluster can't be formed.
    """
    cluster = cluster_of(settings.distribution)
    found = Distribution(_strategy(settings, cluster, devices), cluster)
    found.part_of(settings.batch_size)
    if found.replicas > 1:
        log.info("training on %d devices, %s", found.replicas, _where(cluster))
    return found


def _strategy(
    settings: TrainConfig, cluster: Cluster, devices: Sequence[str]
) -> tf.distribute.Strategy | None:
    if cluster.workers > 1:
        log.info("%s: waiting for the others", cluster.this_worker)
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            raise TrainingError(
                f"{cluster.this_worker} can't join the cluster ({_reason(error)}); check that the "
                "addresses of TF_CONFIG can be reached and that their ports are free"
            ) from None
    if not os.environ.get(VARIABLE, "").strip():
        os.environ.pop(VARIABLE, None)  # TensorFlow can't read an empty one
    if settings.distribution != "mirrored":
        return None
    devices = devices or [item.name for item in tf.config.list_logical_devices("GPU")]
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy(list(devices))
    log.warning('train.distribution is "mirrored", but there are not two GPUs; training on one')
    return None


def _reason(error: Exception) -> str:
    """Return the line of TensorFlow's message that says something, and where none does, the first.

    A message may begin with a trace of the graph.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = (line for line in lines if "aborted" in line or "unhealthy" in line)
    return next(said, lines[0] if lines else type(error).__name__)[:200]


def _where(cluster: Cluster) -> str:
    return f"as {cluster.this_worker}" if cluster.workers > 1 else "all in this process"
