"""The grammar of equations: what it computes, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from separatrix.systems import Equations, system_from_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x^2", -9.0),  # a power binds before a sign
        ("2^-1*x", 1.5),
        ("x/2/3", 0.5),
        ("k[1,2] + x", 8.0),
        ("step(0*x) + step(x)", 1.0),  # Heaviside's function is 0 at 0
        ("sign(-x)*abs(-x)", -3.0),
        ("min(x, 5, 1) + max(x, 7)", 8.0),
        ("mod(x, 2) + floor(x/2)", 2.0),
        ("cos(pi*x)", -1.0),
        ("half = x/2; half + half", 3.0),
    ],
)
def test_values(text, expected, x64):
    equations = Equations(text, ("x",))
    result = equations(jnp.array([3.0]), {"k": np.arange(6.0).reshape(2, 3)})
    assert float(result[-1]) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "x.real",
        "(lambda: x)()",
        "x if x else 1",
        "[x]",
        "'a'",
        "x == 1",
        "sin(x, x)",
        "k[x]",
        "",
        "x +",
    ],
)
def test_what_lies_outside_the_grammar_is_refused(text):
    with pytest.raises(ValueError, match=r"grammar|arguments|index|equation|cannot read"):
        Equations(text, ("x",))(jnp.ones(1), {"k": np.ones(2)})


def test_an_unknown_name_is_named():
    with pytest.raises(ValueError, match="unknown name 'w'"):
        system_from_text("dx = w*x", {}, [1.0])


def test_precision_follows_the_state(x64):
    equations = Equations("dx = a*x + m[0]/3", ("x",), ("dx",))
    parameters = {"a": 0.1, "m": np.ones(2)}
    assert equations(jnp.ones(1, jnp.float32), parameters).dtype == jnp.float32
    assert equations(jnp.ones(1), parameters).dtype == jnp.float64


def test_a_layer_gives_jumps_a_slope_whose_integral_is_the_jump(x64):
    smooth = Equations("dx = sign(x) + step(x)", ("x",), ("dx",), layer=0.01)
    grid = jnp.linspace(-1, 1, 20_001)
    slope = jax.vmap(lambda x: jax.jacfwd(smooth)(x[None], {})[0, 0])(grid)
    assert float(jnp.trapezoid(slope, grid)) == pytest.approx(3.0, abs=1e-6)
    assert float(smooth(jnp.array([0.5]), {})[0]) == pytest.approx(2.0, abs=1e-12)
