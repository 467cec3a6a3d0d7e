"""Everything this package uses of Keras and TensorFlow that is not their public interface.

Keras 2 keeps the graph of a functional model in private attributes. Written for tf_keras 2.21 and
TensorFlow 2.21; when these move, this is the file to check.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tf_keras.src.saving.legacy import hdf5_format

from edge_retina.model.keras import keras, tf

__all__ = [
    "LayerCall",
    "PerVariableRate",
    "call_count",
    "call_of",
    "layer_calls",
    "rename_layer",
    "replaced",
    "synchronise_batchnorm",
    "users",
    "weights_content",
    "with_constants",
]


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer with a single output.

    Attributes:
        layer: what is called.
        number: of this call among the layer's calls, from 0.
        inputs: keras tensors.
        output: keras tensor.
    """

    layer: keras.layers.Layer
    number: int
    inputs: tuple[tf.Tensor, ...]
    output: tf.Tensor


def layer_calls(model: keras.Model) -> list[LayerCall]:
    """Return the layer calls of a functional model, inputs before their users."""
    return [
        _call(node)
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
    ]


def call_of(tensor: tf.Tensor) -> LayerCall:
    """Return the call that a keras tensor comes from."""
    history = tensor._keras_history
    return _call(history.layer._inbound_nodes[history.node_index])


def call_count(layer: keras.layers.Layer) -> int:
    """Return how many times a layer was called on keras tensors."""
    return len(layer._inbound_nodes)


def users(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the layers that take the outputs of a layer's calls, one for each use."""
    return [node.layer for node in layer._outbound_nodes]


def rename_layer(layer: keras.layers.Layer, name: str) -> None:
    """Rename a layer; only before the model that uses it is made."""
    layer._name = name


@contextmanager
def replaced(layer: keras.layers.Layer, attribute: str, value: tf.Tensor) -> Iterator[None]:
    """Let a layer compute with a tensor in place of one of its variables.

    Keras' own way to set an attribute would make it forget the variable.
    """
    variable = getattr(layer, attribute)
    object.__setattr__(layer, attribute, value)
    try:
        yield
    finally:
        object.__setattr__(layer, attribute, variable)


def synchronise_batchnorm(norm: keras.layers.BatchNormalization) -> None:
    """Let a BatchNorm of a mirrored model use the statistics of the batch on all replicas.

    The fused kernel can't. Unlike it, what is used instead doesn't scale the moving variance by
    N / (N - 1). That is 3 % on the coarsest map of a batch of 8 at 256 pixels, and less elsewhere.
    """
    norm.__class__ = _SynchronisedBatchNorm
    norm.fused, norm.synchronized = False, True


class _SynchronisedBatchNorm(keras.layers.BatchNormalization):
    """Like Keras' own with `synchronized`, but with one message per call instead of three."""

    def _sync_calculate_mean_and_var(
        self, x: tf.Tensor, reduction_axes: Sequence[int], keep_dims: bool, mask: None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        if context is None:
            return super()._sync_calculate_mean_and_var(x, reduction_axes, keep_dims, mask)
        # All replicas have pieces of the same size, so the mean of their means is that of all.
        means = [tf.reduce_mean(y, reduction_axes, keepdims=keep_dims) for y in (x, tf.square(x))]
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stack(means))
        mean, square = tf.unstack(total / context.num_replicas_in_sync)
        return mean, tf.maximum(square - tf.square(mean), 0.0)


class PerVariableRate:
    """Mixed into a Keras optimizer: multiplies the learning rate of single variables.

    Gradients can't be scaled instead, because Adam divides their scale out. So the optimizer reads
    another learning rate, for the update and for the decoupled weight decay, while it is at such a
    variable. That is Python code which runs when a step is traced.
    """

    _multiple_of: Callable[[tf.Variable], float | None] | None = None
    _multiple: float | None = None  # of the variable that the optimizer is at
    _rise_steps = 0

    def multiply_rate(
        self, variables: Sequence[tf.Variable], multiple: float, *, rise_steps: int = 0
    ) -> None:
        """Multiply the learning rate of some variables; those of an earlier call are forgotten.

        Args:
            variables: of the model.
            multiple: of the learning rate of the others.
            rise_steps: the multiple rises in equal parts over the first so many steps.
        """
        keys = frozenset(self._var_key(variable) for variable in variables)  # type: ignore[attr-defined]
        # A function, because Keras would take a container for a part of its checkpoints.
        self._multiple_of = lambda variable: multiple if self._var_key(variable) in keys else None  # type: ignore[attr-defined]
        self._rise_steps = rise_steps

    @property
    def learning_rate(self) -> Any:
        """The learning rate; within an update, that of the variable at hand."""
        rate = super().learning_rate  # type: ignore[misc]  # of the optimizer
        if self._multiple is None:
            return rate
        rate = rate * self._multiple
        if self._rise_steps:
            done = tf.cast(self.iterations + 1, tf.float32)  # type: ignore[attr-defined]
            rate = rate * tf.minimum(done / self._rise_steps, 1.0)
        return rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        keras.optimizers.Optimizer.learning_rate.fset(self, rate)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Update one variable."""
        with self._at(variable):
            super().update_step(gradient, variable)  # type: ignore[misc]

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        for variable in variables:
            with self._at(variable):
                super()._apply_weight_decay([variable])  # type: ignore[misc]

    @contextmanager
    def _at(self, variable: tf.Variable) -> Iterator[None]:
        self._multiple = self._multiple_of(variable) if self._multiple_of else None
        try:
            yield
        finally:
            self._multiple = None


def _call(node: Any) -> LayerCall:
    return LayerCall(
        layer=node.layer,
        number=node.layer._inbound_nodes.index(node),
        inputs=tuple(node.keras_inputs),
        output=node.outputs,
    )


def weights_content(model: keras.Model) -> bytes:
    """Return what `model.save_weights` would write into an .h5 file, made in memory."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        hdf5_format.save_weights_to_hdf5_group(file, model)
    return memory.getvalue()


def with_constants(
    function: tf.types.experimental.ConcreteFunction,
) -> tf.types.experimental.ConcreteFunction:
    """Return a traced function with the values of its variables in their place.

    It returns a list, of what the other one returns in any structure.
    """
    return convert_variables_to_constants_v2(function, lower_control_flow=False)
