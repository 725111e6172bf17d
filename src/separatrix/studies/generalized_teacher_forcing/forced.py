"""Arms of teacher forcing: constant, adaptive and sparse, on every system."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import xarray as xr

from separatrix.dynamics import forcing_strength as strength
from separatrix.dynamics.forcing_strength import AdaptiveAlpha
from separatrix.dynamics.reconstruction import SparseForcing
from separatrix.study.study import Arm

from .scores import scored
from .settings import Settings
from .training import fit, thinned


def states_of(data):
    """States at the times of the test series of a model without memory."""
    return jnp.stack([jnp.asarray(test) for _, test in data])


def trained(s: Settings, keys, exponents=False, **how) -> xr.Dataset:
    """Train PLRNNs and judge them."""
    (models, _), ds, data = fit(s, keys, **how)
    scores = scored(s, models, states_of(data), data, exponents)
    return xr.merge([thinned(ds), scores], combine_attrs="drop_conflicts")


def arm_of(does, doc: str, **fixed) -> Arm:
    """An arm with some arguments fixed, and what it does in words."""

    def arm(s: Settings, keys):
        return does(s, keys, **fixed)

    arm.__doc__ = doc
    return arm


def constant(s: Settings, keys, alpha):
    """Constant strength: one compiled program serves all of them, as it is traced."""
    return trained(s, keys, alpha=np.float32(alpha), exponents=True)


@functools.cache
def adaptation(estimator) -> AdaptiveAlpha:
    """The published rule with one of the estimators."""
    return AdaptiveAlpha(estimator)


def adaptive(s: Settings, keys, estimator):
    """Strength that follows an estimate of Jacobian norms."""
    return trained(s, keys, alpha=1.0, adapt=adaptation(estimator))


def sparse(s: Settings, keys, which):
    """Sparse teacher forcing at one of the intervals of the settings."""
    return trained(s, keys, forcing=SparseForcing(jnp.int32(s.taus[which])))


def gtf_long(s: Settings, keys):
    """Constant strength 0.3 on windows of 1,000 steps."""
    return trained(s, keys, alpha=np.float32(0.3), length=s.long_length, steps=s.long_steps)


def sparse_long(s: Settings, keys, which):
    """Sparse teacher forcing on windows of 1,000 steps."""
    forcing = SparseForcing(jnp.int32(s.taus[which]))
    return trained(s, keys, length=s.long_length, steps=s.long_steps, forcing=forcing)


def lorenz96_arm(s: Settings, keys, **how):
    """The setting of Lorenz-96."""
    return trained(dataclasses.replace(s, hidden=s.high_hidden), keys, system="lorenz96", steps=s.high_steps, **how)


def lorenz96_gtf(s: Settings, keys):
    """Lorenz-96 with adaptive strength."""
    return lorenz96_arm(s, keys, alpha=1.0, adapt=adaptation(strength.product_upper_bound))


def lorenz96_sparse(s: Settings, keys, which):
    """Lorenz-96 with sparse teacher forcing."""
    return lorenz96_arm(s, keys, forcing=SparseForcing(jnp.int32(s.taus[which])))
