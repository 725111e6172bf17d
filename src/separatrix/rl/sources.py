"""Where transitions come from: a log, an environment that is acted in, or a model that is rolled out now and then.

A source is the `stream` of an `ActorCritic`: called with `(step, key)` it gives the step's `Feed`, the logged rows
drawn for this step. `start(policy, key)` makes its memory, and `advance(memory, policy, feed, key)` gives the memory
after the step and the batch to learn from. Shapes never change, so everything runs inside the compiled step.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from separatrix.envs.environment import AbstractEnv, Dynamics

from .draws import random_rows
from .model_rollouts import rollout
from .transitions import Transitions

__all__ = ["EnvBuffer", "EnvMemory", "Feed", "Generations", "Logged", "ModelBuffer"]


class Feed(NamedTuple):
    """Input of one step.

    Attributes:
        step: completed updates.
        batch: rows drawn from the log; None if there is no log.
    """

    step: Int[Array, ""]
    batch: Transitions | None


def _draw(data: Transitions, count: int, key: Key[Array, ""]) -> Transitions:
    return data.take(random_rows(key, count, data.num_rows))


class Logged(eqx.Module):
    """Batches drawn from logged transitions with replacement.

    Attributes:
        data: all of them.
        batch_size: rows in a batch.
    """

    data: Transitions
    batch_size: int = eqx.field(static=True, default=256)

    def __call__(self, step: Int[Array, ""], key: Key[Array, ""]) -> Feed:
        """Draw this step's rows."""
        return Feed(step, _draw(self.data, self.batch_size, jr.fold_in(key, step)))

    def start(self, policy: PyTree, key: Key[Array, ""]) -> tuple[()]:
        """Return nothing: a log needs no memory."""
        del policy, key
        return ()

    def advance(self, memory: tuple[()], policy: PyTree, feed: Feed, key: Key[Array, ""]):
        """Return the rows as they are."""
        del policy, key
        return memory, feed.batch


class Generations(NamedTuple):
    """Memory of `ModelBuffer`: a ring of generations, the valid rows of each in front.

    Attributes:
        rows: transitions of shape `(generations, rows, ...)`.
        time: of each row within its rollout, shape `(generations, rows)`.
        counts: valid rows of each generation, shape `(generations,)`.
    """

    rows: Transitions
    time: Int[Array, "generations rows"]
    counts: Int[Array, " generations"]


class ModelBuffer(eqx.Module):
    """Logged rows mixed with rows that the policy makes in a model.

    At each multiple of `every` steps, `rows // horizon` rollouts of `horizon` steps start from logged observations and
    replace the oldest generation. Every horizon therefore makes the same number of model transitions. A rollout ends at
    a terminal state; rows after it are never drawn.

    Attributes:
        data: logged transitions; rollouts start from their observations.
        dynamics: the model; anything of type `separatrix.envs.Dynamics`.
        batch_size: rows in a batch, logged and made.
        real_rows: logged rows among them.
        horizon: steps of a rollout.
        rows: transitions of a generation, a multiple of `horizon`.
        every: steps between generations.
        generations: that are kept.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> from separatrix.envs import Pendulum
        >>> from separatrix.rl import OracleModel, TanhGaussian, Transitions
        >>> start = jnp.array([[1.0, 0.0, 0.0]])
        >>> data = Transitions(start, jnp.zeros((1, 1)), jnp.zeros(1), start, jnp.zeros(1, bool))
        >>> source = ModelBuffer(data, OracleModel(Pendulum()), batch_size=8, real_rows=2, horizon=5, rows=20)
        >>> policy = TanhGaussian(jr.key(0), 3, 1, (8,))
        >>> memory = source.start(policy, jr.key(1))
        >>> memory, batch = source.advance(memory, policy, source(jnp.array(0), jr.key(2)), jr.key(3))
        >>> batch.observation.shape, memory.counts.tolist()
        ((8, 3), [20, 0, 0, 0, 0])
    """

    data: Transitions
    dynamics: Dynamics
    batch_size: int = eqx.field(static=True, default=256)
    real_rows: int = eqx.field(static=True, default=13)
    horizon: int = eqx.field(static=True, default=5)
    rows: int = eqx.field(static=True, default=250_000)
    every: int = eqx.field(static=True, default=1_000)
    generations: int = eqx.field(static=True, default=5)

    def __check_init__(self):
        """Refuse sizes that do not fit each other."""
        if not 0 <= self.real_rows < self.batch_size:
            raise ValueError(f"`real_rows` must lie in 0..{self.batch_size - 1}; got {self.real_rows}.")
        if self.horizon < 1 or self.rows < 1 or self.rows % self.horizon:
            raise ValueError(f"`rows` must be a positive multiple of `horizon`, {self.horizon}; got {self.rows}.")
        if self.every < 1 or self.generations < 1:
            raise ValueError(f"`every` and `generations` must be positive; got {self.every} and {self.generations}.")

    def __call__(self, step: Int[Array, ""], key: Key[Array, ""]) -> Feed:
        """Draw this step's logged rows."""
        return Feed(step, _draw(self.data, self.real_rows, jr.fold_in(key, step)))

    def start(self, policy: PyTree, key: Key[Array, ""]) -> Generations:
        """Return a memory without rows."""
        blank = lambda a: jnp.zeros((self.generations, *a.shape), a.dtype)  # noqa: E731
        rows, time, _ = jax.eval_shape(self._generate, policy, key)
        return Generations(
            jax.tree.map(blank, rows), jnp.zeros((self.generations, *time.shape), time.dtype), self._none()
        )

    def _none(self):
        return jnp.zeros(self.generations, jnp.int32)

    def advance(self, memory: Generations, policy: PyTree, feed: Feed, key: Key[Array, ""]):
        """Roll the model out if it is time, then mix logged and made rows."""
        make, choose = jr.split(key)

        def renew(memory):
            slot = (feed.step // self.every) % self.generations
            new = self._generate(policy, make)
            put = lambda old, rows: jax.lax.dynamic_update_index_in_dim(old, rows, slot, 0)  # noqa: E731
            return jax.tree.map(put, memory, Generations(*new))

        memory = jax.lax.cond(feed.step % self.every == 0, renew, lambda memory: memory, memory)
        made, _ = self.draw(memory, self.batch_size - self.real_rows, choose)
        return memory, jax.tree.map(lambda real, rows: jnp.concatenate([real, rows]), feed.batch, made)

    def _generate(self, policy, key):
        choose, move = jr.split(key)
        starts = _draw(self.data, self.rows // self.horizon, choose).observation
        found = rollout(self.dynamics, policy, starts, self.horizon, move)
        flat = jax.tree.map(lambda a: a.reshape(self.rows, *a.shape[2:]), found)
        front = jnp.argsort(~flat.valid, stable=True)
        return flat.transitions.take(front), flat.time[front], flat.valid.sum(dtype=jnp.int32)

    def draw(self, memory: Generations, count: int, key: Key[Array, ""]) -> tuple[Transitions, Int[Array, " count"]]:
        """Draw rows that the model made, each valid row equally likely.

        Args:
            memory: with one generation or more.
            count: number of rows.
            key: random.

        Returns:
            The rows, and the time of each within its rollout.
        """
        ends = jnp.cumsum(memory.counts)
        place = random_rows(key, count, jnp.maximum(ends[-1], 1))
        slot = jnp.searchsorted(ends, place, side="right")
        row = place - (ends[slot] - memory.counts[slot])
        return jax.tree.map(lambda a: a[slot, row], memory.rows), memory.time[slot, row]


class EnvMemory(NamedTuple):
    """Memory of `EnvBuffer`: the episode under way, and a ring of transitions.

    Attributes:
        state: of the environment.
        time: steps taken in the episode.
        filled: transitions ever stored; row `filled % capacity` is written next.
        rows: transitions of shape `(capacity, ...)`.
        timeout: whether the time ran out after a row, shape `(capacity,)`.
    """

    state: PyTree
    time: Int[Array, ""]
    filled: Int[Array, ""]
    rows: Transitions
    timeout: Bool[Array, " capacity"]


class EnvBuffer(eqx.Module):
    """Transitions of the policy in an environment, one more at every step, and batches of all so far.

    Attributes:
        env: the environment.
        capacity: transitions that are kept.
        batch_size: rows in a batch.
        warmup: transitions by uniform actions before the first step.
    """

    env: AbstractEnv
    capacity: int = eqx.field(static=True, default=100_000)
    batch_size: int = eqx.field(static=True, default=256)
    warmup: int = eqx.field(static=True, default=500)

    def __check_init__(self):
        """Refuse sizes that do not fit each other."""
        if not 0 <= self.warmup <= self.capacity:
            raise ValueError(f"`warmup` must lie in 0..{self.capacity}, the capacity; got {self.warmup}.")

    def __call__(self, step: Int[Array, ""], key: Key[Array, ""]) -> Feed:
        """Return the step alone."""
        del key
        return Feed(step, None)

    def start(self, policy: PyTree, key: Key[Array, ""]) -> EnvMemory:
        """Act uniformly for `warmup` steps."""
        del policy
        env = self.env
        state, action = env.reset(jr.fold_in(key, 0)), jnp.zeros(env.action_size)
        row = jax.eval_shape(self._act, state, jnp.int32(0), action, key)[2]
        rows = jax.tree.map(lambda a: jnp.zeros((self.capacity, *a.shape), a.dtype), row)
        memory = EnvMemory(state, jnp.int32(0), jnp.int32(0), rows, jnp.zeros(self.capacity, bool))

        def wander(memory, key):
            choose, move = jr.split(key)
            return self._store(memory, jr.uniform(choose, (env.action_size,), minval=-1.0), move), None

        keys = jax.vmap(lambda i: jr.fold_in(key, i + 1))(jnp.arange(self.warmup))
        return jax.lax.scan(wander, memory, keys)[0]

    def advance(self, memory: EnvMemory, policy: PyTree, feed: Feed, key: Key[Array, ""]):
        """Act once, then draw a batch."""
        del feed
        choose, move, draw = jr.split(key, 3)
        action = policy.sample(self.env.observe(memory.state)[None], choose)[0][0]
        memory = self._store(memory, action, move)
        rows = random_rows(draw, self.batch_size, jnp.minimum(memory.filled, self.capacity))
        return memory, memory.rows.take(rows)

    def _store(self, memory: EnvMemory, action: Float[Array, " act"], key: Key[Array, ""]) -> EnvMemory:
        state, time, *stored = self._act(memory.state, memory.time, action, key)
        place = memory.filled % self.capacity
        put = lambda old, new: jax.lax.dynamic_update_index_in_dim(old, new, place, 0)  # noqa: E731
        rows, timeout = jax.tree.map(put, (memory.rows, memory.timeout), tuple(stored))
        return EnvMemory(state, time, memory.filled + 1, rows, timeout)

    def _act(self, state, time, action, key):
        move, again = jr.split(key)
        after, reward, terminal = self.env.step(state, action, move)
        row = Transitions(self.env.observe(state), action, reward, self.env.observe(after), terminal)
        timeout = ~terminal & (time + 1 >= self.env.max_steps)
        over = terminal | timeout
        state = jax.tree.map(lambda new, old: jnp.where(over, new, old), self.env.reset(again), after)
        return state, jnp.where(over, 0, time + 1), row, timeout
