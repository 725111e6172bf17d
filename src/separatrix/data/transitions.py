"""Logged transitions as flat arrays, and what makes a log unusable."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

__all__ = ["LoggedEpisodes", "Transitions", "checked_log"]


class Transitions(NamedTuple):
    """Transitions, in no order that matters; leading axes alike.

    Attributes:
        observation: before the action.
        action: in [-1, 1].
        reward: of the transition.
        next_observation: after it.
        terminal: whether no reward can follow. The end of the time allowed is not terminal.
    """

    observation: Float[Array, "*n obs"]
    action: Float[Array, "*n act"]
    reward: Float[Array, "*n"]
    next_observation: Float[Array, "*n obs"]
    terminal: Bool[Array, "*n"]

    @property
    def num_rows(self) -> int:
        """Length of the leading axis."""
        return self.reward.shape[0]

    def take(self, rows: Int[Array, "*rows"] | slice) -> "Transitions":
        """Return some of the rows."""
        return jax.tree.map(lambda a: a[rows], self)


class LoggedEpisodes(NamedTuple):
    """Logged transitions in the order of time, NumPy arrays with `n` rows.

    Attributes:
        observation: shape `(n, obs)`.
        action: shape `(n, act)`, in the units of the log.
        reward: shape `(n,)`.
        next_observation: shape `(n, obs)`, of the same episode.
        terminal: whether no reward can follow.
        timeout: whether the log breaks off here without a terminal state.
        name: where it came from.
    """

    observation: Float[np.ndarray, "n obs"]
    action: Float[np.ndarray, "n act"]
    reward: Float[np.ndarray, " n"]
    next_observation: Float[np.ndarray, "n obs"]
    terminal: Bool[np.ndarray, " n"]
    timeout: Bool[np.ndarray, " n"]
    name: str = "log"

    @property
    def starts(self) -> np.ndarray:
        """Rows at which episodes begin."""
        ends = np.flatnonzero(self.terminal | self.timeout) + 1
        return np.concatenate([[0], ends[ends < len(self.reward)]]).astype(int)

    def returns(self) -> Float[np.ndarray, " episodes"]:
        """Undiscounted return of each episode."""
        return np.add.reduceat(self.reward.astype(float), self.starts)

    def transitions(self) -> Transitions:
        """Transitions for training, in float32, actions clipped to [-1, 1]."""
        single = lambda a: jnp.asarray(a, jnp.float32)  # noqa: E731
        return Transitions(
            single(self.observation),
            jnp.clip(single(self.action), -1, 1),
            single(self.reward),
            single(self.next_observation),
            jnp.asarray(self.terminal),
        )


def checked_log(log: LoggedEpisodes) -> LoggedEpisodes:
    """Refuse a log that cannot be learnt from, with one line that says why.

    Args:
        log: as read.

    Returns:
        The same rows: floats as they were, a last row that ends nowhere marked as a timeout.

    Raises:
        ValueError: if it is empty, arrays or rows do not fit, numbers are not finite, ends of episodes are missing, or
            actions exceed 1.

    Examples:
        >>> import numpy as np
        >>> log = LoggedEpisodes(*(np.zeros((2, 1)), np.zeros((2, 1)), np.array([0.0, np.nan]), np.zeros((2, 1))),
        ...                      np.zeros(2, bool), np.array([False, True]))
        >>> checked_log(log)
        Traceback (most recent call last):
            ...
        ValueError: log: 1 of 2 rewards are not finite, the first in row 1; drop its episode or repair it.
    """
    name, rows = log.name, len(np.atleast_1d(log.reward))
    for field, array in zip(log._fields[:6], log[:6], strict=True):
        if np.asarray(array).dtype.kind not in "fiub":
            raise ValueError(f"{name}: {field} must be an array of numbers; got {np.asarray(array).dtype}.")
    if np.ndim(log.reward) != 1:
        raise ValueError(f"{name}: reward must have shape (rows,), one number a row; got {np.shape(log.reward)}.")
    if rows == 0:
        raise ValueError(f"{name}: there is no transition in it.")
    for field in ("observation", "action", "next_observation"):
        shape = np.shape(getattr(log, field))
        if len(shape) != 2 or shape[0] != rows:
            raise ValueError(f"{name}: {field} must have shape ({rows}, size), a row for each reward; got {shape}.")
    for field in ("terminal", "timeout"):
        if np.shape(getattr(log, field)) != (rows,):
            raise ValueError(f"{name}: {field} must have shape ({rows},); got {np.shape(getattr(log, field))}.")
    if log.observation.shape != log.next_observation.shape:
        raise ValueError(
            f"{name}: observations have {log.observation.shape[1]} numbers and next observations "
            f"{log.next_observation.shape[1]}."
        )
    plural = {"observation": "observations", "action": "actions", "reward": "rewards"}
    for field in ("observation", "action", "reward", "next_observation"):
        finite = np.isfinite(getattr(log, field)).reshape(rows, -1).all(axis=1)
        if not finite.all():
            word, first = plural.get(field, "next observations"), int(np.argmin(finite))
            raise ValueError(
                f"{name}: {rows - int(finite.sum())} of {rows} {word} are not finite, the first in row {first}; "
                "drop its episode or repair it."
            )
    largest = float(np.abs(log.action).max())
    if largest > 1.001:
        raise ValueError(
            f"{name}: actions reach {largest:.3g}; scale them to [-1, 1] first, with `action_range` of the reader."
        )
    timeout = np.array(log.timeout, bool)
    if not (log.terminal[-1] or timeout[-1]):
        timeout[-1] = True
    joined = ~(log.terminal | timeout)[:-1]
    broken = np.flatnonzero(joined & (np.abs(log.next_observation[:-1] - log.observation[1:]) > 1e-3).any(axis=1))
    if len(broken) > 0.01 * rows + 1:
        raise ValueError(
            f"{name}: after {len(broken)} of {rows} rows, the first being {broken[0]}, the next row starts elsewhere "
            "though nothing is marked as an end; the terminals or time-outs are missing."
        )
    timeout[broken] = True
    return log._replace(timeout=timeout)
