"""Environments: Markov decision processes in JAX, and gymnasium's on the host, behind one protocol."""

from .box_world import BoxWorld
from .callback_env import CallbackEnv, HostState
from .cart_pole import CartPoleSwingUp
from .environment import AbstractEnv, Dynamics, Step, true_dynamics
from .episodes import Episodes, evaluate, roll_out
from .gymnasium_host import HostEnv, evaluate_on_host
from .pendulum import Pendulum
from .reacher import Reacher
from .value_grid import ValueGrid, optimal_values

__all__ = [
    "AbstractEnv",
    "BoxWorld",
    "CallbackEnv",
    "CartPoleSwingUp",
    "Dynamics",
    "Episodes",
    "HostEnv",
    "HostState",
    "Pendulum",
    "Reacher",
    "Step",
    "ValueGrid",
    "evaluate",
    "evaluate_on_host",
    "optimal_values",
    "roll_out",
    "true_dynamics",
]
