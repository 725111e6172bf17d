"""What evolves: an initial state and a step, both pure."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, ArrayLike, Key, PyTree

__all__ = ["AbstractProcess", "Info"]

Info = dict[str, Array]


class AbstractProcess(eqx.Module):
    """A discrete-time dynamical system, possibly driven by inputs and noise.

    Training a network and integrating a flow are both processes. Hyper-parameters are fields, and floating-point fields
    are traced, so that a grid over them needs no new compilation. A subclass is final: to change one, replace a field
    or wrap it (see `separatrix.chain`).

    A process that is fed (batches, noise, actions) may carry a field `stream`; `run` uses it when it is given no other.
    """

    @abc.abstractmethod
    def init(self, key: Key[Array, ""]) -> PyTree:
        """Return the state at step 0."""

    @abc.abstractmethod
    def step(self, state: PyTree, x: Any, key: Key[Array, ""]) -> tuple[PyTree, Info]:
        """Advance by one step.

        Args:
            state: what `init` or the last step returned; structure, shapes and dtypes must be kept.
            x: this step's input from the stream, or None.
            key: this step's own key.

        Returns:
            The next state and what is worth watching, a flat dictionary of arrays.
        """

    def view(self, state: PyTree) -> PyTree:
        """Return the state that probes see; wrappers with a state of their own show the wrapped one."""
        return state

    def restore(self, state: PyTree, done: ArrayLike) -> PyTree:
        """Return the state whose `view` is `state` after `done` completed updates; the inverse of `view`."""
        del done
        return state

    def base(self) -> "AbstractProcess":
        """Return the process that probes see; wrappers show the wrapped one."""
        return self
