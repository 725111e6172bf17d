"""The grid of data, horizon, critics and dynamics, and models between a random one and the truth."""

import jax.random as jr

from separatrix.envs.pendulum import Pendulum
from separatrix.rl.gaussian_ensemble import GaussianEnsemble
from separatrix.rl.model_based import mbpo
from separatrix.rl.model_rollouts import OracleModel, interpolate

from .pendulum import base, in_learned, learn, learned_model, pessimistic, shared
from .settings import Settings

__all__ = ["GRID", "GRID_ARMS", "LEVELS", "MIX_ARMS", "MODELS", "POINTS", "cell"]

LEVELS = ("expert", "medium")
MODELS = ("true", "learned")
POINTS = ((1, 2), (1, 10), (5, 2), (5, 10), (40, 2))  # horizon and critics
SHARES = (0.0, 0.25, 0.75)  # of the way from a random model (0) by the learned one (1/2) to the truth (1)


def cell(level: str, model: str, horizon: int, members: int) -> str:
    """Return the arm of a point of the grid."""
    if (level, model, horizon, members) == ("medium", "learned", 5, 2):
        return "learned-plain"
    prefix = {
        ("expert", "true"): "",
        ("medium", "true"): "medium-",
        ("expert", "learned"): "learned-expert-",
        ("medium", "learned"): "learned-medium-",
    }[level, model]
    return f"{prefix}k{horizon}-n{members}"


GRID = {(level, model, *point): cell(level, model, *point) for level in LEVELS for model in MODELS for point in POINTS}


def _grid_arm(level: str, model: str, horizon: int, members: int):
    def arm(s: Settings, keys):
        steps = {1: s.short, 5: s.middle, 40: s.long}[horizon]
        if model == "true":
            return learn(s, keys, level, (base if members == 2 else pessimistic)(s, steps))
        return in_learned(s, keys, level, horizon=steps, members=2 if members == 2 else s.ensemble)

    arm.__doc__ = f"Data of the level {level}: rollouts of {horizon} in the {model} dynamics, {members} critics."
    return arm


ELSEWHERE = {"k1-n2", "k1-n10", "k5-n2", "k5-n10", "k40-n2"}
ELSEWHERE |= {"medium-k1-n2", "medium-k5-n2", "medium-k5-n10", "learned-plain"}
GRID_ARMS = {name: _grid_arm(*point) for point, name in GRID.items() if name not in ELSEWHERE}


def between(s: Settings, alpha: float):
    """Return the model at a share of the way from an untrained ensemble by the learned one to the truth."""
    learned = learned_model(s, "expert")
    random = GaussianEnsemble(jr.key(2), 3, 1, hidden=(s.hidden, s.hidden), centre=learned.centre, scale=learned.scale)
    lower = interpolate(random, learned, min(1.0, 2 * alpha))
    return interpolate(lower, OracleModel(Pendulum()), max(0.0, 2 * alpha - 1))


def _mix_arm(alpha: float):
    def arm(s: Settings, keys):
        model = between(s, alpha)
        return learn(s, keys, "expert", lambda data: mbpo(data, model, horizon=s.middle, **shared(s)))

    arm.__doc__ = f"Five steps in a model {alpha:g} of the way from a random one by the learned one to the truth."
    return arm


MIX_ARMS = {f"mix-{round(100 * alpha)}": _mix_arm(alpha) for alpha in SHARES}
