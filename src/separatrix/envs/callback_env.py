"""A gymnasium environment inside compiled programs: every step is a call back to the host.

Learners, collection, evaluation and `OracleModel` take it like any other environment, so that the true dynamics of
MuJoCo can stand where a learned model can. The state is the simulator's whole state, which is set before each step:
a step is a pure function, and runs are reproducible and resume to the bit.
"""

import threading
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from .environment import AbstractEnv
from .gymnasium_host import HostEnv

__all__ = ["CallbackEnv", "HostState"]

# JAX copies larger arguments of a callback on the pool of threads that waits for the callback: two at once never end.
BYTES_PER_CALL = 32_768
NO_LIMIT = 1_000  # steps of an episode where the environment sets none


class HostState(NamedTuple):
    """State of a `CallbackEnv`.

    Attributes:
        physics: the simulator's state, shape `(physics,)`.
        observation: what the agent sees of it, shape `(obs,)`.
    """

    physics: Float[Array, " physics"]
    observation: Float[Array, " obs"]


class CallbackEnv(AbstractEnv):
    """A gymnasium environment with the protocol of compiled ones.

    One simulator serves all members of a population in turn, so this is as quick as that simulator on one core: about
    5,000 steps a second for Hopper-v5. It is no place for parameters to be traced.

    Args:
        env: an environment on the host, or a gymnasium id; MuJoCo's ids need the extra `rl`.
        **options: passed to `gymnasium.make` with an id.

    Attributes:
        observation_size: length of an observation.
        action_size: length of an action.
        max_steps: time allowed for an episode.
        simulator: the environment on the host.

    Raises:
        ImportError: if gymnasium or MuJoCo is missing.
        ValueError: as `HostEnv`, or if the state cannot be set from an observation.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> from separatrix.envs import Pendulum, true_dynamics
        >>> start, action = jnp.array([0.6, 0.8, 0.5]), jnp.array([1.0])
        >>> host = true_dynamics(CallbackEnv("Pendulum-v1"))(start, action, jr.key(0))
        >>> ours = true_dynamics(Pendulum())(start, action, jr.key(0))
        >>> bool(jnp.allclose(host.observation, ours.observation, atol=1e-5))
        True
    """

    observation_size: int = eqx.field(static=True)  # pyright: ignore[reportIncompatibleVariableOverride]
    action_size: int = eqx.field(static=True)  # pyright: ignore[reportIncompatibleVariableOverride]
    max_steps: int = eqx.field(static=True)  # pyright: ignore[reportIncompatibleVariableOverride]
    simulator: "_Simulator" = eqx.field(static=True)

    def __init__(self, env: HostEnv | str, **options: Any):
        self.simulator = _Simulator(HostEnv(env, **options) if isinstance(env, str) else env)
        host = self.simulator.host
        self.observation_size = host.observation_size  # pyright: ignore[reportIncompatibleVariableOverride]
        self.action_size = host.action_size  # pyright: ignore[reportIncompatibleVariableOverride]
        self.max_steps = host.max_steps or NO_LIMIT  # pyright: ignore[reportIncompatibleVariableOverride]

    def reset(self, key):
        """Draw a state to start from, by a seed that comes from the key."""
        seed = jr.bits(key, (1,), jnp.uint32)
        return HostState(*self._call(self.simulator.reset, ("physics", "observation"), seed))

    def step(self, state, action, key):
        """Put the simulator into the state and take one step; the key is not used."""
        del key
        names = ("physics", "observation", "reward", "terminal")
        *after, reward, terminal = self._call(self.simulator.step, names, state.physics, action)
        return HostState(*after), reward[0], terminal[0] > 0

    def observe(self, state):
        """Return what the agent sees of a state."""
        return state.observation

    def state_of(self, observation):
        """Return the state that an observation shows; see `HostEnv.physics_of`."""
        (physics,) = self._call(self.simulator.physics_of, ("physics",), observation)
        return HostState(physics, observation)

    def _call(self, fn, names, *arguments):
        sizes = {"physics": self.simulator.size, "observation": self.observation_size, "reward": 1, "terminal": 1}
        widths = tuple(sizes[name] for name in names)
        arguments = [a if a.dtype == jnp.uint32 else a.astype(jnp.float32) for a in arguments]
        return _row_by_row(fn, widths)(*arguments)


def _row_by_row(fn, widths: tuple[int, ...]):
    """Make a function of vectors from one of matrices on the host; batches are cut into pieces of bounded size."""

    def call(*rows: Array) -> list[Array]:
        shapes = [jax.ShapeDtypeStruct((len(rows[0]), width), jnp.float32) for width in widths]
        return jax.pure_callback(fn, shapes, *rows, vmap_method="sequential")

    @custom_vmap
    def one(*vectors: Array) -> list[Array]:
        return [found[0] for found in call(*(v[None] for v in vectors))]

    @one.def_vmap
    def many(count, batched, *rows):
        pairs = zip(rows, batched, strict=True)
        rows = [a if is_batched else jnp.broadcast_to(a, (count, *a.shape)) for a, is_batched in pairs]
        widest = max(*widths, *(a.shape[1] for a in rows))
        pieces = -(-count // max(1, BYTES_PER_CALL // (4 * widest)))
        size = -(-count // pieces)
        fill = lambda a: jnp.concatenate([a, jnp.repeat(a[-1:], pieces * size - count, axis=0)])  # noqa: E731
        cut = [fill(a).reshape(pieces, size, a.shape[1]) for a in rows]
        found = jax.lax.map(lambda piece: call(*piece), cut)
        return [a.reshape(pieces * size, -1)[:count] for a in found], [True] * len(widths)

    return one


class _Simulator:
    """One environment on the host and what callbacks ask of it, row by row; compared by identity."""

    def __init__(self, host: HostEnv):
        self.host, self.lock = host, threading.Lock()
        self.host.reset(0)  # gymnasium wants it before the first step
        self.size = len(host.physics())
        host.physics_of(np.zeros(host.observation_size))

    def reset(self, seeds):
        """Start an episode for each seed."""
        return self._rows(self._reset, seeds)

    def step(self, physics, actions):
        """Take one step from each state."""
        return self._rows(self._step, physics, actions)

    def physics_of(self, observations):
        """Return the state that each observation shows."""
        return self._rows(lambda observation: (self.host.physics_of(observation),), observations)

    def _reset(self, seed):
        observation = self.host.reset(int(seed[0]))
        return self.host.physics(), observation

    def _step(self, physics, action):
        self.host.set_physics(physics)
        observation, reward, terminal, _ = self.host.step(action)
        return self.host.physics(), observation, [reward], [terminal]

    def _rows(self, fn, *arguments):
        with self.lock:  # blocks of a population run in threads of their own
            found = [fn(*row) for row in zip(*(np.asarray(a) for a in arguments), strict=True)]
        return [np.asarray(column, np.float32) for column in zip(*found, strict=True)]
