"""Equations as text: a small grammar, parsed once and evaluated in JAX, without running code from a string.

A text is a list of statements `name = expression`, separated by `;`. Expressions know numbers, `pi`, names, `k[i,j]`
(an entry of an array parameter, counted from 0), `+ - * / ^ ( )` and the functions in `FUNCTIONS`; `step(x)` is 1 where
`x > 0` and 0 elsewhere. Statements that set no target are auxiliary values for those below them.
"""

import ast
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

__all__ = ["FUNCTIONS", "Equations", "names_in"]


def _reduce(pair: Callable) -> Callable:
    return lambda *values: functools.reduce(pair, values)


FUNCTIONS: dict[str, tuple[Callable, int | None]] = {  # the function and its number of arguments, None for one or more
    "sin": (jnp.sin, 1),
    "cos": (jnp.cos, 1),
    "tan": (jnp.tan, 1),
    "acos": (jnp.arccos, 1),
    "sinh": (jnp.sinh, 1),
    "cosh": (jnp.cosh, 1),
    "tanh": (jnp.tanh, 1),
    "exp": (jnp.exp, 1),
    "log": (jnp.log, 1),
    "sqrt": (jnp.sqrt, 1),
    "abs": (jnp.abs, 1),
    "sign": (jnp.sign, 1),
    "floor": (jnp.floor, 1),
    "mod": (jnp.mod, 2),
    "step": (lambda x: jnp.where(x > 0, 1.0, 0.0).astype(jnp.result_type(x)), 1),
    "min": (_reduce(jnp.minimum), None),
    "max": (_reduce(jnp.maximum), None),
}
_OPERATORS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_STATEMENT = re.compile(r"\s*([A-Za-z_]\w*)\s*=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Equations:
    """A vector of expressions of named variables and parameters; callable, hashable, equal when the texts are.

    Attributes:
        text: the statements.
        variables: names of the entries of the state.
        targets: names of the statements that make the result, in order; an empty tuple means that the text holds
            bare expressions, all of which are returned.
        delayed: names of the entries of the second, delayed state; empty without a delay.
        layer: if positive, `sign` and `step` climb over a layer of this half-width, as a hyperbolic tangent, so that
            their derivatives count; 0 for the jump itself.

    Examples:
        >>> import jax.numpy as jnp
        >>> pendulum = Equations("dq = p; dp = -k*sin(q)", ("q", "p"), ("dq", "dp"))
        >>> pendulum(jnp.array([jnp.pi / 2, 2.0]), {"k": 3.0}).tolist()
        [2.0, -3.0]
    """

    text: str
    variables: tuple[str, ...]
    targets: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()
    layer: float = 0.0

    def __call__(self, *arguments: Any) -> Float[Array, " k"]:
        """Evaluate at `(state, parameters)`, or `(state, delayed state, parameters)` when there is a delay."""
        *states, parameters = arguments
        state = jnp.asarray(states[0])
        values: dict[str, Any] = {name: _cast(value, state.dtype) for name, value in parameters.items()}
        values |= {name: state[i] for i, name in enumerate(self.variables)}
        if self.delayed:
            values |= {name: states[1][i] for i, name in enumerate(self.delayed)}
        results = []
        for name, expression in parse(self.text):
            value = _evaluate(expression, values, self)
            values[name] = value
            if not self.targets:
                results.append(value)
        if self.targets:
            results = [values[name] for name in self.targets]
        shape = jnp.shape(state[0])
        return jnp.stack([jnp.broadcast_to(jnp.asarray(r, state.dtype), shape) for r in results])

    def check(self, parameters: Mapping[str, ArrayLike]) -> "Equations":
        """Raise a ValueError that names what is missing or unknown; return the equations themselves."""
        known = {*self.variables, *self.delayed, *parameters}
        written = []
        for name, expression in parse(self.text):
            unknown = sorted(names_in(expression) - known)
            if unknown:
                raise ValueError(
                    f"unknown name {unknown[0]!r} in {name!r} of {self.text[:60]!r}; known are {sorted(known)}."
                )
            known.add(name)
            written.append(name)
        missing = [name for name in self.targets if name not in written]
        if missing:
            raise ValueError(f"no statement sets {missing[0]!r}; each variable needs one, among {list(self.targets)}.")
        return self


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> tuple[tuple[str, ast.expr], ...]:
    """Parse statements.

    Args:
        text: statements `name = expression` or bare expressions, separated by `;`.

    Returns:
        Pairs of a name and an expression; a bare expression is its own name.

    Raises:
        ValueError: if something lies outside the grammar.
    """
    parsed = []
    for statement in filter(str.strip, text.split(";")):
        match = _STATEMENT.fullmatch(statement)
        name, body = (match[1], match[2]) if match else (statement.strip(), statement)
        try:
            expression = ast.parse(body.strip().replace("^", "**"), mode="eval").body
        except SyntaxError:
            raise ValueError(f"cannot read {body.strip()!r}; write for example `dx = a*(y - x)^2`.") from None
        _check_node(expression, body.strip())
        parsed.append((name, expression))
    if not parsed:
        raise ValueError("the text holds no equation; write for example `dx = y; dy = -sin(x)`.")
    return tuple(parsed)


def names_in(expression: ast.expr) -> set[str]:
    """Return the names of variables and parameters in a parsed expression."""
    called = {id(node.func) for node in ast.walk(expression) if isinstance(node, ast.Call)}
    names = {node.id for node in ast.walk(expression) if isinstance(node, ast.Name) and id(node) not in called}
    return names - {"pi"}


def _check_node(node: ast.AST, body: str) -> None:
    match node:
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            children = [left, right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            children = [operand]
        case ast.Call(func=ast.Name(id=name), args=children, keywords=[]) if name in FUNCTIONS:
            wanted = FUNCTIONS[name][1]
            if len(children) != wanted if wanted is not None else not children:
                raise ValueError(f"`{name}` takes {wanted or 'one or more'} arguments; {body!r} gives {len(children)}.")
        case ast.Subscript(value=ast.Name(), slice=index):
            entries = index.elts if isinstance(index, ast.Tuple) else [index]
            if not all(isinstance(e, ast.Constant) and type(e.value) is int for e in entries):
                raise ValueError(f"an index must be a whole number, as in `k[0,1]`; got {body!r}.")
            children = []
        case ast.Constant(value=value) if type(value) in (int, float):
            children = []
        case ast.Name():
            children = []
        case _:
            raise ValueError(f"{ast.unparse(node)!r} is not part of the grammar (in {body!r}); see `expressions`.")
    for child in children:
        _check_node(child, body)


def _evaluate(node: ast.AST, values: Mapping[str, Any], equations: Equations) -> Any:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_evaluate(left, values, equations), _evaluate(right, values, equations))
        case ast.UnaryOp(op=op, operand=operand):
            value = _evaluate(operand, values, equations)
            return -value if isinstance(op, ast.USub) else value
        case ast.Call(func=ast.Name(id=name), args=arguments):
            given = [_evaluate(a, values, equations) for a in arguments]
            if equations.layer and name in ("sign", "step"):
                climb = jnp.tanh(given[0] / equations.layer)
                return climb if name == "sign" else (1 + climb) / 2
            return FUNCTIONS[name][0](*given)
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            entries = index.elts if isinstance(index, ast.Tuple) else [index]
            return _look_up(name, values, equations.text)[
                tuple(e.value for e in entries if isinstance(e, ast.Constant))
            ]
        case ast.Constant(value=value):
            return value
        case ast.Name(id="pi") if "pi" not in values:
            return np.pi
        case ast.Name(id=name):
            return _look_up(name, values, equations.text)
    raise AssertionError(ast.dump(node))


def _look_up(name: str, values: Mapping[str, Any], text: str) -> Any:
    if name not in values:
        raise ValueError(f"unknown name {name!r} in {text[:60]!r}; known are {sorted(values)}.")
    return values[name]


def _cast(value: Any, dtype) -> Any:
    return value if isinstance(value, float | int) else jnp.asarray(value, dtype)
