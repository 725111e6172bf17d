"""Curvature of one network on one batch: Separatrix against curvlinops and PyHessian, both on PyTorch.

Work: the five largest eigenvalues, the trace and the spectral density of the Hessian of the mean cross-entropy of a
1M-parameter MLP (256-1000-700-10, tanh) on 512 examples, and of a small CNN (1-16-32 channels, tanh, 12 x 12 images) on
512. All three sides get the same weights and data, written once by NumPy. Accuracy: eigenvalues to a relative residual
of 1e-3 (PyHessian stops on the change between two power iterations, so it is given 1e-4, and the values are shown);
trace from 30 random signs, which have the same variance everywhere; density from 4 vectors with 40 products each.
The peers are installed with `pip install --no-deps curvlinops-for-pytorch backpack-for-pytorch einconv unfoldnd
linear-operator pyhessian` and `pip install einops`: with their dependencies they replace a CPU build of PyTorch.
The floor of a product with the Hessian of the MLP, its gradient linearised once, is about 5 to 6 GFLOP: some 30 ms at
the 190 GFLOP/s of a float32 matrix product on the two cores of the published figures. No side can go below it, so a
peer that takes 40 ms for a product can be beaten by a third at most in the trace, and what is left to save in the other
rows is orthogonalisation, which reads a basis of 41 vectors of a million numbers twice for each product (some 13 ms).
The CNN's floor is about 1 GFLOP or 6 ms for a product; moving patches of images through memory costs as much again.
`CURVATURE_SIZE=tiny` makes it a test of the code path.
"""

import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import main, table

TINY = os.environ.get("CURVATURE_SIZE") == "tiny"
EXAMPLES, CLASSES = (16, 4) if TINY else (512, 10)
WIDTHS = (6, 8, 5, CLASSES) if TINY else (256, 1000, 700, CLASSES)
SIDE, CHANNELS = (8, (2, 3)) if TINY else (12, (16, 32))
TOP, TOLERANCE, PROBES, DENSITY_PROBES, DENSITY_STEPS = (2, 1e-3, 5, 2, 5) if TINY else (5, 1e-3, 30, 4, 40)
WORKS = ("top", "trace", "density")


def weights(name: str) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Weights with fan-in scaling, inputs, labels; the same numbers on every side."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, EXAMPLES)
    if name == "mlp":
        shapes = list(itertools.pairwise(WIDTHS))
        inputs = rng.normal(size=(EXAMPLES, WIDTHS[0]))
        fans = [shape[0] for shape in shapes]
    else:
        first, second = CHANNELS
        shapes = [(first, 1, 3, 3), (second, first, 3, 3), (second * (SIDE // 4) ** 2, CLASSES)]
        inputs = rng.normal(size=(EXAMPLES, 1, SIDE, SIDE))
        fans = [9, 9 * first, shapes[2][0]]
    arrays = [(rng.normal(size=s) / np.sqrt(fan)).astype(np.float32) for s, fan in zip(shapes, fans, strict=True)]
    return arrays, inputs.astype(np.float32), labels


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of a first call, with any compilation, and of a second, and its result."""
    began = time.perf_counter()
    work()
    first = time.perf_counter() - began
    began = time.perf_counter()
    result = work()
    return first, time.perf_counter() - began, result


def report(measure: Callable[[str], dict[str, tuple[float, float, Any]]]) -> dict[str, float]:
    figures = {}
    for name in ("mlp", "cnn"):
        for work, (first, second, value) in measure(name).items():
            figures[f"{name}_{work}_first"], figures[f"{name}_{work}"] = first, second
            figures[f"{name}_{work}_value"] = float(value)
    return figures


def ours() -> dict[str, float]:
    import jax
    import jax.numpy as jnp
    import jax.random as jr
    import optax

    from separatrix.models import convolve
    from separatrix.numerics import eigenpairs, hessian_operator, hutchinson_trace, spectral_density

    def mlp(params, x):
        for w in params[:-1]:
            x = jnp.tanh(x @ w)
        return x @ params[-1]

    def cnn(params, x):
        x = x.transpose(0, 2, 3, 1)  # `convolve` has the channels last
        for w in params[:-1]:
            x = jnp.tanh(convolve(x, w.transpose(2, 3, 1, 0)))
            x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean((2, 4))
        return x.transpose(0, 3, 1, 2).reshape(len(x), -1) @ params[-1]

    def measure(name):
        model = {"mlp": mlp, "cnn": cnn}[name]
        params, inputs, labels = jax.tree.map(jnp.asarray, weights(name))

        def loss(params, batch):
            return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(model(params, batch[0]), batch[1]))

        operator = hessian_operator(loss, params, (inputs, labels))
        start = operator.random_vector(jr.key(0))
        options: Any = {"num_probes": DENSITY_PROBES, "num_steps": DENSITY_STEPS}

        def density():
            found = jax.block_until_ready(spectral_density(operator, jr.key(2), **options))
            return operator.dim * jnp.mean(jnp.sum(found.nodes * found.weights, axis=1))

        return {
            "top": timed(lambda: eigenpairs(operator, start, TOP, tolerance=TOLERANCE).values.block_until_ready()[0]),
            "trace": timed(lambda: hutchinson_trace(operator, jr.key(1), num_matvecs=PROBES).value.block_until_ready()),
            "density": timed(density),
        }

    return report(measure)


def torch_network(name: str):
    """The module, its loss function and the batch, with our weights."""
    import torch

    arrays, inputs, labels = weights(name)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ParameterList([torch.nn.Parameter(torch.from_numpy(a.copy())) for a in arrays])

        def forward(self, x):
            *hidden, last = self.layers
            for w in hidden:
                if name == "mlp":
                    x = torch.tanh(x @ w)
                else:
                    x = torch.nn.functional.avg_pool2d(torch.tanh(torch.nn.functional.conv2d(x, w, padding=1)), 2)
            return x.flatten(1) @ last

    return Network(), torch.nn.CrossEntropyLoss(), (torch.from_numpy(inputs), torch.from_numpy(labels))


def curvlinops_side() -> dict[str, float]:
    import torch
    from curvlinops import HessianLinearOperator, hutchinson_trace, lanczos_approximate_spectrum
    from scipy.sparse.linalg import eigsh

    def measure(name):
        model, loss, batch = torch_network(name)
        operator = HessianLinearOperator(model, loss, list(model.parameters()), [batch], check_deterministic=False)
        exported = operator.to_scipy(dtype=np.float32)
        dim = operator.shape[0]
        # the ends of the spectrum, which it would otherwise compute first, are not charged to its density
        ends = eigsh(exported, k=2, which="BE", tol=1e-2)[0]

        def density():
            torch.manual_seed(2)
            grid, values = lanczos_approximate_spectrum(
                operator, DENSITY_STEPS, num_points=512, num_repeats=DENSITY_PROBES, boundaries=(ends[0], ends[-1])
            )
            return dim * float(torch.trapezoid(grid * values, grid) / torch.trapezoid(values, grid))

        def trace():
            torch.manual_seed(1)
            return hutchinson_trace(operator, num_matvecs=PROBES, distribution="rademacher")

        return {
            "top": timed(lambda: eigsh(exported, k=TOP, which="LA", tol=TOLERANCE)[0].max()),
            "trace": timed(trace),
            "density": timed(density),
        }

    return report(measure)


def pyhessian_side() -> dict[str, float]:
    import torch
    from pyhessian import hessian

    def eig(matrix, eigenvectors=False):  # PyTorch has removed what PyHessian 0.1 calls; its matrix is symmetric
        values, vectors = torch.linalg.eigh(matrix)
        return torch.stack([values, torch.zeros_like(values)], dim=1), vectors

    torch.eig = eig

    def measure(name):
        model, loss, batch = torch_network(name)
        computer = hessian(model, loss, data=batch, cuda=False)
        dim = sum(p.numel() for p in model.parameters())

        def density():
            nodes, weights = computer.density(iter=DENSITY_STEPS, n_v=DENSITY_PROBES)
            return dim * np.mean(np.sum(np.array(nodes) * np.array(weights), axis=1))

        return {
            "top": timed(lambda: max(computer.eigenvalues(maxIter=300, tol=1e-4, top_n=TOP)[0])),
            "trace": timed(lambda: np.mean(computer.trace(maxIter=PROBES, tol=0.0))),
            "density": timed(density),
        }

    return report(measure)


def summarise(sides: dict[str, dict]) -> str:
    names = {"top": f"top {TOP} eigenvalues", "trace": f"trace, {PROBES} products", "density": "spectral density"}
    rows, values = [], []
    for network in ("mlp", "cnn"):
        for work in WORKS:
            key = f"{network}_{work}"
            mine = sides["separatrix"]
            row = [f"{network}: {names[work]}", f"{mine[key]:.2f} ({mine[key + '_first']:.2f})"]
            for peer in ("curvlinops", "pyhessian"):
                row += [f"{sides[peer][key]:.2f}", f"{sides[peer][key] / mine[key]:.1f}x"]
            rows.append(row)
            values.append([f"{network}: {names[work]}", *(f"{s[key + '_value']:.5g}" for s in sides.values())])
    columns = ["seconds", "separatrix (first call)", "curvlinops", "ratio", "PyHessian", "ratio"]
    checks = ["largest eigenvalue, trace, trace from the density", *sides]
    peaks = ", ".join(f"{name} {side['peak_mib']:.0f} MiB" for name, side in sides.items())
    return "\n".join([table(columns, rows), "", table(checks, values), "", f"Peak memory: {peaks}."])


if __name__ == "__main__":
    main(
        "Curvature: eigenvalues, trace and density of a Hessian",
        {"separatrix": ours, "curvlinops": curvlinops_side, "pyhessian": pyhessian_side},
        summarise,
    )
