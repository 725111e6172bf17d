"""Measures of what an ensemble of Gaussian models does not know, at one state and action.

All have the form `(mean, log_variance, outcome, key) -> scalar`: `mean` and `log_variance` have shape
`(members, outputs)`, the outputs being the change of the observation and the reward; `outcome` is what the model drew.
A single certain member has no uncertainty of any kind: each measure is then exactly 0.

References:
    Lu, Ball, Parker-Holder, Osborne, Roberts (2022), Revisiting Design Choices in Offline Model-Based Reinforcement
    Learning, ICLR, arXiv 2110.04135.
"""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

__all__ = [
    "ensemble_std",
    "ensemble_var",
    "ll_var",
    "loo_kl",
    "max_aleatoric",
    "max_aleatoric_frobenius",
    "max_pairwise",
]

Moments = Float[Array, "members outputs"]
Outcome = Float[Array, " outputs"] | None
OptionalKey = Key[Array, ""] | None


def max_aleatoric(mean: Moments, log_variance: Moments, outcome: Outcome = None, key: OptionalKey = None):
    """Largest norm over members of the vector of standard deviations: what MOPO's code uses.

    Args:
        mean: not used.
        log_variance: of each member.
        outcome: not used.
        key: not used.

    Returns:
        Scalar in the units of the outputs.
    """
    del mean, outcome, key
    return jnp.max(jnp.sqrt(jnp.sum(jnp.exp(log_variance), axis=-1)))


def max_aleatoric_frobenius(mean: Moments, log_variance: Moments, outcome: Outcome = None, key: OptionalKey = None):
    """Largest Frobenius norm over members of the covariance matrix: MOPO's penalty as it is written.

    Args:
        mean: not used.
        log_variance: of each member.
        outcome: not used.
        key: not used.

    Returns:
        Scalar in squared units.
    """
    del mean, outcome, key
    return jnp.max(jnp.sqrt(jnp.sum(jnp.exp(2 * log_variance), axis=-1)))


def max_pairwise(mean: Moments, log_variance: Moments, outcome: Outcome = None, key: OptionalKey = None):
    """Largest distance between the means of two members, as in MOReL.

    Args:
        mean: of each member.
        log_variance: not used.
        outcome: not used.
        key: not used.

    Returns:
        Scalar in the units of the outputs.
    """
    del log_variance, outcome, key
    return jnp.sqrt(jnp.max(jnp.sum((mean[:, None] - mean[None]) ** 2, axis=-1)))


def ensemble_var(mean: Moments, log_variance: Moments, outcome: Outcome = None, key: OptionalKey = None):
    """Trace of the covariance of the mixture of all members: mean of variances plus variance of means.

    Args:
        mean: of each member.
        log_variance: of each member.
        outcome: not used.
        key: not used.

    Returns:
        Scalar in squared units.
    """
    del outcome, key
    return jnp.sum(jnp.mean(jnp.exp(log_variance), axis=0) + jnp.mean((mean - jnp.mean(mean, axis=0)) ** 2, axis=0))


def ensemble_std(mean: Moments, log_variance: Moments, outcome: Outcome = None, key: OptionalKey = None):
    """Root of `ensemble_var`.

    Args:
        mean: of each member.
        log_variance: of each member.
        outcome: not used.
        key: not used.

    Returns:
        Scalar in the units of the outputs.

    Examples:
        >>> import jax.numpy as jnp
        >>> round(float(ensemble_std(jnp.array([[0.0], [2.0]]), jnp.zeros((2, 1)))), 4)
        1.4142
    """
    return jnp.sqrt(ensemble_var(mean, log_variance, outcome, key))


def loo_kl(mean: Moments, log_variance: Moments, outcome: Outcome = None, key: OptionalKey = None):
    """Divergence of one member, drawn at random, from the Gaussian with the moments of all others.

    Args:
        mean: of each member.
        log_variance: of each member.
        outcome: not used.
        key: draws the member; without one, the mean over all members is taken.

    Returns:
        Scalar in nats; 0 for a single member.
    """
    del outcome
    members = len(mean)
    if members == 1:
        return jnp.zeros((), mean.dtype)

    def divergence(left_out):
        weight = jnp.where(jnp.arange(members) == left_out, 0.0, 1 / (members - 1))[:, None]
        centre = jnp.sum(weight * mean, axis=0)
        spread = jnp.sum(weight * (jnp.exp(log_variance) + (mean - centre) ** 2), axis=0)
        own = jnp.exp(log_variance[left_out])
        ratio = (own + (mean[left_out] - centre) ** 2) / spread
        return 0.5 * jnp.sum(ratio - 1 + jnp.log(spread) - log_variance[left_out])

    if key is None:
        return jnp.mean(jax.vmap(divergence)(jnp.arange(members)))
    return divergence(jr.randint(key, (), 0, members))


def ll_var(mean: Moments, log_variance: Moments, outcome: Outcome = None, key: OptionalKey = None):
    """Variance over members of the log-density of what the model drew.

    Args:
        mean: of each member.
        log_variance: of each member.
        outcome: what was drawn.
        key: not used.

    Returns:
        Scalar in squared nats, with a heavy tail; 0 for a single member.

    Raises:
        ValueError: if `outcome` is missing.
    """
    del key
    if outcome is None:
        raise ValueError("`ll_var` needs the drawn outcome: pass `outcome`.")
    if len(mean) == 1:
        return jnp.zeros((), mean.dtype)
    density = -0.5 * ((outcome - mean) ** 2 * jnp.exp(-log_variance) + log_variance + math.log(2 * math.pi))
    return jnp.var(jnp.sum(density, axis=-1))
