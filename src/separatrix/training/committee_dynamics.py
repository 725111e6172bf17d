"""Gradient descent of the quadratic committee in closed form, for any width including infinity, and its probes.

A step of full-batch gradient descent moves every neuron by one common affine map, `w <- A w + g`, so the mean and the
second moment of the weights follow from themselves: the width enters through the initial moments only, and a step costs
`O(P D^2 + D^3)` whatever it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from separatrix._core.probe import Probe, Transition
from separatrix._core.process import AbstractProcess
from separatrix.models.committee import committee_weights
from separatrix.numerics.kernel_similarity import kernel_alignment
from separatrix.numerics.kernels import ntk_distance
from separatrix.training.committee_theory import (
    CommitteeStatistics,
    committee_kernel,
    committee_loss_terms,
    committee_output,
    committee_statistics,
)

__all__ = ["CommitteeDynamics", "CommitteeState", "committee_tangent", "loss_terms"]

Cadence = int | Callable[[int], Sequence[int]]


class CommitteeState(NamedTuple):
    """State of `CommitteeDynamics`.

    Attributes:
        now: statistics of the weights.
        initial: statistics of the initial weights.
    """

    now: CommitteeStatistics
    initial: CommitteeStatistics


class CommitteeDynamics(AbstractProcess):
    """Exact dynamics of a quadratic committee under full-batch gradient descent on `mean_mu (y_mu - f_mu)^2 / 2`.

    With residuals d and `c = rate / (alpha P)`: `g = c sum_mu d_mu x_mu`, `A = I + c eps sum_mu d_mu x_mu x_mu^T`,
    `m <- A m + g` and `M <- A M A^T + A m g^T + g (A m)^T + g g^T`. The network's learning rate is `rate N / alpha^2`,
    so that its outputs move as fast at any width and scale.

    Attributes:
        inputs: training inputs, `(P, D)`; their dtype is that of everything.
        targets: `(P,)`.
        direction: the teacher's direction beta, for the probes.
        rate: learning rate in units that depend neither on alpha nor on the width; a positive number.
        alpha: output scale: large is lazy.
        eps: curvature of the activation.
        width: number of neurons, None for infinitely many (deterministic start: mean zero, second moment one).
        center: subtract the initial function.
        held_out: inputs and targets on which `loss_terms` also takes a sample average, or None.

    Example:
        >>> import jax.random as jr
        >>> from separatrix import run
        >>> from separatrix.data import single_index_data
        >>> data = single_index_data(jr.key(0), num_train=40, dim=5)
        >>> process = CommitteeDynamics(
        ...     data.train_inputs, data.train_targets, data.directions[0], rate=0.5, alpha=0.5, width=None
        ... )
        >>> _, records = run(process, jr.key(1), 400, probes=[loss_terms(every=200)])
        >>> [bool(records[name][-1] < 0.01) for name in ("train_mse", "test_mse")]
        [True, True]

    References:
        Kumar, Bordelon, Gershman, Pehlevan (2024), ICLR, arXiv 2310.06110, for the model and its regimes.
    """

    inputs: Float[Array, "examples dim"]
    targets: Float[Array, " examples"]
    direction: Float[Array, " dim"]
    rate: ArrayLike = 2.0
    alpha: ArrayLike = 0.5
    eps: ArrayLike = 0.25
    width: int | None = 200
    center: bool = True
    held_out: tuple[Float[Array, "test dim"], Float[Array, " test"]] | None = None

    def init(self, key):
        """Draw the initial weights, as `CommitteeQuadratic` does from the same key, and keep their moments."""
        dim, dtype = self.inputs.shape[1], self.inputs.dtype
        if self.width is None:
            start = CommitteeStatistics(jnp.zeros(dim, dtype), jnp.eye(dim, dtype=dtype))
        else:
            start = committee_statistics(committee_weights(key, self.width, dim, dtype))
        return CommitteeState(start, start)

    def learned(self, state: CommitteeState) -> CommitteeStatistics:
        """Return the statistics that make the output: their change since the start if centred."""
        now, start = state
        return CommitteeStatistics(now.mean - start.mean, now.moment - start.moment) if self.center else now

    def outputs(self, state: CommitteeState, inputs: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """Return the network's outputs on a batch of inputs."""
        return committee_output(self.learned(state), inputs, self._typed(self.alpha), self._typed(self.eps))

    def kernel(self, statistics: CommitteeStatistics, others: Float[Array, "m dim"]) -> Float[Array, "m examples"]:
        """Return the tangent kernel, times the width, between a batch of inputs and the training inputs."""
        return committee_kernel(statistics, others, self.inputs, self._typed(self.alpha), self._typed(self.eps))

    def step(self, state, x, key):
        """Take one step; `info` has the training `loss` before it, a mean square error."""
        del x, key
        alpha, eps, rate = self._typed(self.alpha), self._typed(self.eps), self._typed(self.rate)
        residual = self.targets - self.outputs(state, self.inputs)
        scaled = rate / (alpha * len(self.targets)) * residual
        shift = scaled @ self.inputs
        moved = eps * (self.inputs.T * scaled) @ self.inputs
        linear = jnp.eye(len(shift), dtype=shift.dtype) + moved
        mean = linear @ state.now.mean
        cross = jnp.outer(mean, shift)
        moment = linear @ state.now.moment @ linear.T + cross + cross.T + jnp.outer(shift, shift)
        moment = (moment + moment.T) / 2  # rounding would slowly break the symmetry
        return CommitteeState(CommitteeStatistics(mean + shift, moment), state.initial), {"loss": jnp.mean(residual**2)}

    def _typed(self, value: ArrayLike) -> Array:
        return jnp.asarray(value, self.inputs.dtype)


def loss_terms(every: Cadence = 1) -> Probe:
    """Training loss and exact population loss of `CommitteeDynamics`, the latter in its three terms.

    Args:
        every: cadence.

    Returns:
        A probe recording `train_mse`, `test_mse`, its parts `variance`, `misalignment` and `linear_power`, and
        `weight_size`, the root mean square length of a neuron's weights; with `held_out` also `test_sample_mse`.
    """

    def measure(tr: Transition, key):
        del key
        process: Any = tr.process
        alpha, eps = process._typed(process.alpha), process._typed(process.eps)
        terms = committee_loss_terms(process.learned(tr.after), process.direction, alpha, eps)
        residual = process.targets - process.outputs(tr.after, process.inputs)
        out = {
            "train_mse": jnp.mean(residual**2),
            "test_mse": terms.total,
            **terms._asdict(),
            "weight_size": jnp.sqrt(jnp.trace(tr.after.now.moment)),
        }
        if process.held_out is not None:
            inputs, targets = process.held_out
            out["test_sample_mse"] = jnp.mean((targets - process.outputs(tr.after, inputs)) ** 2)
        return out

    names = {
        "train_mse": "training loss",
        "test_mse": "test loss",
        "test_sample_mse": "test loss on a sample",
        "variance": "test loss: variance",
        "misalignment": "test loss: misalignment",
        "linear_power": "test loss: linear power",
        "weight_size": "rms length of a neuron's weights",
    }
    attrs = {name: {"units": "1", "long_name": text} for name, text in names.items()}
    return Probe(measure, every=every, name="loss_terms", attrs=attrs)


def committee_tangent(every: Cadence = 1) -> Probe:
    """Tangent kernel of `CommitteeDynamics` on its training inputs: alignment with the targets, and how far it turned.

    Args:
        every: cadence.

    Returns:
        A probe recording `kernel_alignment` and `ntk_distance`.
    """

    def measure(tr: Transition, key):
        del key
        process: Any = tr.process
        now, start = (process.kernel(statistics, process.inputs) for statistics in tr.after)
        return {"kernel_alignment": kernel_alignment(now, process.targets), "ntk_distance": ntk_distance(now, start)}

    attrs = {
        "kernel_alignment": {"units": "1", "long_name": "alignment of the tangent kernel with the targets"},
        "ntk_distance": {"units": "1", "long_name": "distance of the tangent kernel from the initial one"},
    }
    return Probe(measure, every=every, name="committee_tangent", attrs=attrs)
