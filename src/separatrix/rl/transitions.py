"""Logged transitions, without order: what every learner here is fed; and episodes as a log, in the order of time."""

import jax
import jax.numpy as jnp
import numpy as np

from separatrix.data.transitions import LoggedEpisodes, Transitions, checked_log
from separatrix.envs.episodes import Episodes

__all__ = ["Transitions", "concatenated", "from_episodes", "logged"]


def from_episodes(episodes: Episodes) -> Transitions:
    """Forget the order of episodes; rows after the end of an episode are dropped.

    Args:
        episodes: with leading axes `(episodes, steps)` or `(steps,)`.

    Returns:
        The valid transitions, in the order of time within each episode.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> from separatrix.envs import Pendulum, roll_out
        >>> found = from_episodes(roll_out(Pendulum(), lambda observation, key: jnp.zeros(1), jr.key(0), 2))
        >>> found.num_rows, found.observation.shape, bool(found.terminal.any())
        (400, (400, 3), False)
    """
    valid = np.asarray(episodes.valid)
    return Transitions(*(jnp.asarray(np.asarray(getattr(episodes, name))[valid]) for name in Transitions._fields))


def logged(episodes: Episodes, name: str = "episodes") -> LoggedEpisodes:
    """Make a log of episodes, to be audited or written; rows after the end of an episode are dropped.

    Args:
        episodes: with leading axes `(episodes, steps)` or `(steps,)`.
        name: of the log.

    Returns:
        The valid transitions in the order of time, with the ends of episodes.

    Raises:
        ValueError: if nothing is valid or a number is not finite.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> from separatrix.envs import Pendulum, roll_out
        >>> log = logged(roll_out(Pendulum(), lambda observation, key: jnp.zeros(1), jr.key(0), 2))
        >>> log.starts.tolist(), int(log.timeout.sum()), bool(log.terminal.any())
        ([0, 200], 2, False)
    """
    valid = np.asarray(episodes.valid)
    fields = (np.asarray(getattr(episodes, field))[valid] for field in LoggedEpisodes._fields[:6])
    return checked_log(LoggedEpisodes(*fields, name=name))


def concatenated(*parts: Transitions) -> Transitions:
    """Join several sets of transitions.

    Args:
        parts: with equal sizes of observations and actions.

    Returns:
        All rows, in order.

    Raises:
        ValueError: if nothing is given, or sizes differ.
    """
    if not parts:
        raise ValueError("`concatenated` needs at least one set of transitions.")
    sizes = {(p.observation.shape[1:], p.action.shape[1:]) for p in parts}
    if len(sizes) > 1:
        raise ValueError(f"all parts must have the same sizes of observations and actions; got {sorted(sizes)}.")
    return jax.tree.map(lambda *a: jnp.concatenate(a), *parts)
