"""Which hyper-parameters of a grid have an effect on a run: read off its trace, before anything is computed."""

from typing import Any

import jax

from .program import Program, initialise, one_step

__all__ = ["dependence"]


def dependence(program: Program, arguments: tuple[Any, ...], given: Any) -> frozenset[str]:
    """Tell which values of the grid the initial state, a step or a measurement depends on.

    Args:
        program: of the population.
        arguments: process leaves, rest leaves, grid values by name and key of one member.
        given: the state to start from, if it is given.

    Returns:
        Their names. A value that reaches a compiled function within the step counts, whatever that does with it.
    """
    leaves, rest, points, key = arguments

    def everything(points):
        carry = initialise(program, leaves, rest, points, key, given)
        return carry, one_step(program, leaves, rest, points, key, carry)

    jaxpr = jax.make_jaxpr(everything)(points).jaxpr
    live = _variables(jaxpr.outvars)
    for equation in reversed(jaxpr.eqns):
        if equation.effects or live & _variables(equation.outvars):
            live |= _variables(equation.invars)
    return frozenset(name for name, var in zip(sorted(points), jaxpr.invars, strict=True) if var in live)


def _variables(atoms) -> set[Any]:
    return {atom for atom in atoms if not hasattr(atom, "val")}  # the others are literals
