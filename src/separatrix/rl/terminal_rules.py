"""Known rules of terminal states, for models that predict only the next observation.

Observations are those of gymnasium's MuJoCo tasks, which leave out the horizontal position. An environment without
terminal states, such as HalfCheetah, has the rule `never`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["hopper_terminal", "walker2d_terminal"]


def hopper_terminal(
    observation: Float[Array, " obs"], action: Float[Array, " act"], next_observation: Float[Array, " obs"]
) -> Bool[Array, ""]:
    """Hopper ends when its torso is not above 0.7, leans by 0.2 rad or more, or another number reaches 100.

    Args:
        observation: not used.
        action: not used.
        next_observation: height and angle of the torso in front.

    Returns:
        Whether the next state is terminal; anything that is not finite is.

    Examples:
        >>> import jax.numpy as jnp
        >>> upright = jnp.zeros(11).at[0].set(1.25)
        >>> bool(hopper_terminal(upright, jnp.zeros(3), upright)), bool(hopper_terminal(upright, None, 0.5 * upright))
        (False, True)
    """
    del observation, action
    height, angle, rest = next_observation[0], next_observation[1], next_observation[2:]
    return ~((height > 0.7) & (jnp.abs(angle) < 0.2) & jnp.all(jnp.abs(rest) < 100))


def walker2d_terminal(
    observation: Float[Array, " obs"], action: Float[Array, " act"], next_observation: Float[Array, " obs"]
) -> Bool[Array, ""]:
    """Walker2d ends when its torso leaves the heights 0.8 to 2, or leans by 1 rad or more.

    Args:
        observation: not used.
        action: not used.
        next_observation: height and angle of the torso in front.

    Returns:
        Whether the next state is terminal; anything that is not finite is.
    """
    del observation, action
    height, angle = next_observation[0], next_observation[1]
    return ~((height > 0.8) & (height < 2.0) & (jnp.abs(angle) < 1.0))
