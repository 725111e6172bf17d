"""Exact statistics of the quadratic committee: its function, loss and tangent kernel from two moments of its weights.

The committee `f(x) = (alpha/N) sum_i phi(w_i . x)` with `phi(h) = h + (eps/2) h^2` depends on its weights only through
the mean `m = mean_i w_i` and the second moment `M = mean_i w_i w_i^T`, whatever its width. For Gaussian inputs and a
quadratic target the test loss then splits into three terms that fall at different times: that is how this model groks.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = [
    "CommitteeStatistics",
    "LossTerms",
    "committee_kernel",
    "committee_loss_terms",
    "committee_output",
    "committee_statistics",
]


Scalar = float | Float[Array, ""]


class CommitteeStatistics(NamedTuple):
    """Moments of a committee's weights.

    Attributes:
        mean: mean weight, `(dim,)`.
        moment: second moment, `(dim, dim)`, positive semi-definite.
    """

    mean: Float[Array, " dim"]
    moment: Float[Array, "dim dim"]


def committee_statistics(weights: Float[Array, "width dim"]) -> CommitteeStatistics:
    """Mean and second moment of a committee's weights.

    Args:
        weights: one row a neuron.

    Returns:
        The statistics.

    Example:
        >>> mean, moment = committee_statistics(jnp.array([[1.0, 0.0], [3.0, 0.0]]))
        >>> mean.tolist(), moment.tolist()
        ([2.0, 0.0], [[5.0, 0.0], [0.0, 0.0]])
    """
    return CommitteeStatistics(jnp.mean(weights, axis=0), weights.T @ weights / len(weights))


def committee_output(
    statistics: CommitteeStatistics, inputs: Float[Array, "*batch dim"], alpha: Scalar, eps: Scalar
) -> Float[Array, "*batch"]:
    """Output of the committee, `alpha m . x + (alpha eps / 2) x^T M x`.

    Args:
        statistics: of the weights; differences of two statistics give the centred output.
        inputs: examples along any leading axes.
        alpha: output scale.
        eps: curvature of the activation.

    Returns:
        One output an example.

    Example:
        >>> x = jnp.array([2.0, 0.0])
        >>> float(committee_output(committee_statistics(jnp.array([[1.0, 5.0]])), x, 1.0, 0.5))  # 2 + 0.25 * 4
        3.0
    """
    quadratic = jnp.sum((inputs @ statistics.moment) * inputs, axis=-1)
    return alpha * (inputs @ statistics.mean + eps / 2 * quadratic)


def committee_kernel(
    statistics: CommitteeStatistics,
    inputs: Float[Array, "n dim"],
    others: Float[Array, "m dim"],
    alpha: Scalar,
    eps: Scalar,
) -> Float[Array, "n m"]:
    """Tangent kernel of the committee, times its width: `alpha^2 (x . x') [1 + eps m . (x + x') + eps^2 x^T M x']`.

    Args:
        statistics: of the weights.
        inputs: n examples.
        others: m examples.
        alpha: output scale.
        eps: curvature of the activation.

    Returns:
        The kernel; `empirical_ntk` of the network times its number of neurons.

    References:
        Kumar, Bordelon, Gershman, Pehlevan (2024), ICLR, arXiv 2310.06110.

    Example:
        >>> infinite = CommitteeStatistics(jnp.zeros(2), jnp.eye(2))
        >>> x = jnp.array([[1.0, 1.0]])
        >>> float(committee_kernel(infinite, x, x, 1.0, 0.5)[0, 0])  # (x . x) + eps^2 (x . x)^2
        3.0
    """
    slopes = 1 + eps * (inputs @ statistics.mean)[:, None] + eps * (others @ statistics.mean)[None, :]
    return alpha**2 * (inputs @ others.T) * (slopes + eps**2 * inputs @ statistics.moment @ others.T)


class LossTerms(NamedTuple):
    """The three terms of the population loss `E (y - f)^2`.

    Attributes:
        variance: error of the overall size of the quadratic part.
        misalignment: distance of the second moment from the teacher's direction.
        linear_power: power of the linear part, which the target has not.
    """

    variance: Float[Array, ""]
    misalignment: Float[Array, ""]
    linear_power: Float[Array, ""]

    @property
    def total(self) -> Float[Array, ""]:
        """The population loss."""
        return self.variance + self.misalignment + self.linear_power


def committee_loss_terms(
    statistics: CommitteeStatistics, direction: Float[Array, " dim"], alpha: Scalar, eps: Scalar
) -> LossTerms:
    """Exact test loss of the committee on the target `(beta . x)^2 / 2` for inputs `x ~ N(0, I/D)`, in three terms.

    `A = ((|beta|^2 - alpha eps tr M) / D)^2 / 4`, `B = |beta beta^T - alpha eps M|^2 / (2 D^2)`, `C = alpha^2 |m|^2 /
    D`; the odd moments vanish. The formula needs Gaussian inputs: on a sphere the first term is another.

    Args:
        statistics: of the weights; for a centred committee, their differences from the initial ones.
        direction: beta.
        alpha: output scale.
        eps: curvature of the activation.

    Returns:
        The terms, each >= 0; their sum is `E (y - f)^2`.

    References:
        Kumar, Bordelon, Gershman, Pehlevan (2024), ICLR, arXiv 2310.06110.

    Example:
        >>> beta = jnp.array([2.0**0.5, 0.0])
        >>> perfect = CommitteeStatistics(jnp.zeros(2), jnp.outer(beta, beta))
        >>> round(float(committee_loss_terms(perfect, beta, 2.0, 0.5).total), 6)
        0.0
        >>> nothing = CommitteeStatistics(jnp.zeros(2), jnp.zeros((2, 2)))
        >>> round(float(committee_loss_terms(nothing, beta, 2.0, 0.5).total), 6)  # E y^2
        0.75
    """
    dim = direction.shape[0]
    gap = jnp.outer(direction, direction) - alpha * eps * statistics.moment
    return LossTerms(
        (jnp.trace(gap) / dim) ** 2 / 4,
        jnp.sum(gap**2) / (2 * dim**2),
        alpha**2 * jnp.sum(statistics.mean**2) / dim,
    )
