"""A study whose regime has a closed form: gradient descent on a parabola diverges where rate x curvature exceeds 2."""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from separatrix import AbstractProcess, Probe, run
from separatrix.study.finding import AtLeast, Finding
from separatrix.study.study import Regime, Study
from separatrix.study.sweep import along_points, first_point


@dataclass(frozen=True)
class Settings:
    """Sizes."""

    seeds: int = 2
    rate: float = 0.5
    momentum: float = 0.0
    curvature: float = 1.0
    dim: int = 1
    name: str = "plain"
    steps: int = 200


class Descent(AbstractProcess):
    """`w <- w - rate curvature w + momentum (w - last)`."""

    rate: jnp.ndarray
    momentum: jnp.ndarray
    curvature: float
    dim: int = eqx.field(static=True)

    def init(self, key):
        first = 1 + 0.1 * jr.normal(key, (self.dim,))
        return jnp.stack([first, first])

    def step(self, state, x, key):
        now, last = state
        after = now - self.rate * self.curvature * now + self.momentum * (now - last)
        return jnp.stack([after, now]), {}


TRACES = []  # how often the step was traced for another program


def descend(s: Settings, keys):
    """Gradient descent with momentum."""

    def size(tr, key):
        TRACES.append(s.curvature)
        return {"size": jnp.linalg.norm(tr.after[0])}

    first = first_point(s)
    process = Descent(jnp.float32(first.rate), jnp.float32(first.momentum), s.curvature, s.dim)
    return run(process, keys, s.steps, probes=[Probe(size, every=s.steps)], over=along_points(s)).records.to_dataset()


def constant(s: Settings, keys):
    """An arm that no setting changes."""
    return descend(Settings(steps=s.steps), keys)


STUDY = Study(
    slug="quadratic",
    seed=0,
    domain="training",
    title="A parabola",
    paper="none",
    citation="none",
    question="Where does gradient descent diverge?",
    method="It is run.",
    presets={name: Settings() for name in ("quick", "default", "thorough", "full")},
    arms={"descend": descend, "constant": constant},
    findings=[
        Finding(
            "F1", "It converges.", "closed form", lambda ds: 1 - ds["size"].sel(arm="descend")[..., -1], AtLeast(0.5)
        )
    ],
    traced=("rate", "momentum"),
    regimes={
        "diverges": Regime("diverges", "descend", lambda ds: ~(ds["size"].isel(step=-1) < 1)),
        "unlike": Regime("does not depend", "constant", lambda ds: np.isfinite(ds["size"].isel(step=-1))),
    },
)
