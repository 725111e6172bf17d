"""Fully connected networks on batches, several members at once, and the ensemble of action values made of them."""

import itertools
import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .draws import uniform_pieces

__all__ = ["Network", "QEnsemble", "StateValue"]


class Network(eqx.Module):
    """A fully connected network, or `members` of them that share inputs and are applied by one batched product a layer.

    Hidden weights are uniform within plus or minus one over the root of their inputs; hidden biases are constant and
    the last layer is small, so that every value begins near zero.

    Args:
        key: drives the weights.
        sizes: widths, input and output included.
        members: networks side by side; None for one without an axis of its own.
        activation: elementwise function between layers.
        bias: of the hidden layers at the start.
        last: bound of the uniform weights and biases of the last layer.

    Attributes:
        weights: one `(*members, in, out)` array per layer.
        biases: one `(*members, out)` array per layer.
        activation: elementwise function.

    Raises:
        ValueError: if a width or the number of members is not positive.

    Examples:
        >>> import jax.random as jr
        >>> net = Network(jr.key(0), (3, 8, 2), members=5)
        >>> net(jnp.ones((4, 3))).shape
        (5, 4, 2)
    """

    weights: tuple[Float[Array, "*members in out"], ...]
    biases: tuple[Float[Array, "*members out"], ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        sizes: Sequence[int],
        *,
        members: int | None = None,
        activation: Callable[[Array], Array] = jax.nn.relu,
        bias: float = 0.1,
        last: float = 3e-3,
    ):
        if len(sizes) < 2 or min(sizes) < 1 or (members is not None and members < 1):
            raise ValueError(
                f"`sizes` needs two positive widths or more, `members` one; got {tuple(sizes)}, {members}."
            )
        lead = () if members is None else (members,)
        shapes = [(*lead, into, out) for into, out in itertools.pairwise(sizes)]
        *drawn, shift = uniform_pieces(key, [*shapes, (*lead, sizes[-1])])
        bounds = [*(1 / math.sqrt(into) for into in sizes[:-2]), last]
        self.weights = tuple(bound * piece for bound, piece in zip(bounds, drawn, strict=True))
        self.biases = (*(jnp.full((*lead, out), bias) for out in sizes[1:-1]), last * shift)
        self.activation = activation

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*members_and_batch out"]:
        """Apply to a batch `(batch, in)` that members share, or to one each, `(members, batch, in)`."""
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = (self.activation(x) if layer else x) @ weight + bias[..., None, :]
        return x


class QEnsemble(eqx.Module):
    """Action values by several networks.

    Args:
        key: drives the weights.
        observation_size: length of an observation.
        action_size: length of an action.
        hidden: widths of the hidden layers.
        members: number of networks.

    Attributes:
        network: of all members.

    Examples:
        >>> import jax.random as jr
        >>> critic = QEnsemble(jr.key(0), 3, 1, (8,), members=2)
        >>> critic(jnp.ones((4, 3)), jnp.zeros((4, 1))).shape
        (2, 4)
    """

    network: Network

    def __init__(
        self,
        key: Key[Array, ""],
        observation_size: int,
        action_size: int,
        hidden: Sequence[int] = (256, 256, 256),
        members: int = 2,
    ):
        self.network = Network(key, (observation_size + action_size, *hidden, 1), members=members)

    @property
    def members(self) -> int:
        """Number of networks."""
        return self.network.weights[0].shape[0]

    def __call__(
        self, observation: Float[Array, "batch obs"], action: Float[Array, "*members batch act"]
    ) -> Float[Array, "members batch"]:
        """Return the values; actions may differ by member."""
        observation = jnp.broadcast_to(observation, (*action.shape[:-1], observation.shape[-1]))
        return self.network(jnp.concatenate([observation, action], axis=-1))[..., 0]


class StateValue(eqx.Module):
    """Values of states by one network.

    Args:
        key: drives the weights.
        observation_size: length of an observation.
        hidden: widths of the hidden layers.

    Attributes:
        network: observation to value.
    """

    network: Network

    def __init__(self, key: Key[Array, ""], observation_size: int, hidden: Sequence[int] = (256, 256)):
        self.network = Network(key, (observation_size, *hidden, 1))

    def __call__(self, observation: Float[Array, "batch obs"]) -> Float[Array, " batch"]:
        """Return the values."""
        return self.network(observation)[..., 0]
