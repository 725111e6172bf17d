"""A phase diagram of lazy and rich training, 16 output scales x 16 learning rates: Separatrix against a PyTorch loop.

Work: the committee of 200 quadratic neurons on 225 examples of 50 inputs, centred, full-batch gradient descent for
2,000 steps, 256 runs in float64, training and test loss at 66 logarithmic steps. Separatrix runs the same committee by
its closed dynamics, which gives the network's numbers to rounding (study `grokking-lazy-to-rich`, F6), in one program;
a second row runs the network itself through `Supervised`, 16 of the runs. The PyTorch loop trains the network, with
gradients by autograd, and is timed on some of the runs; its rate is constant over runs and steps, so its figure is
scaled. Set `SMALL=1` in the environment for tiny sizes that only check the code.
"""

import os
import time

from harness import main, matrix_rate, table

SMALL = bool(os.environ.get("SMALL"))
SCALES, RATES, STEPS = (2, 2, 20) if SMALL else (16, 16, 2_000)
DIM, WIDTH, EXAMPLES, EPS = (6, 10, 20, 0.25) if SMALL else (50, 200, 225, 0.25)
LOOP_RUNS, NETWORK_SCALES = (2, 2) if SMALL else (4, 4)
RUNS = SCALES * RATES
# a step of the closed dynamics: x^T M x and sum d x x^T for the examples, A M A^T; and of the network, three products
FLOP_CLOSED = 4 * EXAMPLES * DIM**2 + 4 * DIM**3
FLOP_NETWORK = 2 * 3 * EXAMPLES * DIM * WIDTH  # forward, of the initial model, and the gradient of the weights


def _grid(scales: int, rates: int):
    import numpy as np

    return {"alpha": np.geomspace(0.05, 10.0, scales), "rate": np.geomspace(0.25, 4.0, rates)}


def _double_matrix_rate() -> float:
    """The rate of a float64 product of 1,500 x 1,500, FLOP/s."""
    import jax
    import jax.numpy as jnp

    size = 1_500
    with jax.enable_x64():
        a = jnp.ones((size, size), jnp.float64)
        product = jax.jit(lambda a: a @ a)
        product(a).block_until_ready()
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            product(a).block_until_ready()
            seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds)


def ours() -> dict[str, float]:
    import equinox as eqx
    import jax
    import jax.random as jr
    import optax

    from separatrix import FullBatch, log_spaced, run
    from separatrix.data import single_index_data
    from separatrix.models import CommitteeQuadratic, LazyModel, lazy_learning_rate
    from separatrix.training import Batch, CommitteeDynamics, Supervised, loss_terms, losses

    def with_point(process, values):
        process = eqx.tree_at(lambda p: p.model.alpha, process, values["alpha"])
        rate = lazy_learning_rate(values["rate"] * WIDTH, values["alpha"])
        return eqx.tree_at(lambda p: p.optimiser, process, optax.sgd(rate))

    figures = {"matrix_rate": matrix_rate(), "double_rate": _double_matrix_rate()}
    with jax.enable_x64():
        data = single_index_data(jr.key(0), EXAMPLES, DIM, dtype="float64")
        closed = CommitteeDynamics(
            data.train_inputs, data.train_targets, data.directions[0], eps=EPS, width=WIDTH, center=True
        )
        began = time.perf_counter()
        state, records = run(closed, jr.key(1), STEPS, probes=[loss_terms(log_spaced(20))], over=_grid(SCALES, RATES))
        jax.block_until_ready(state)
        figures["closed"] = RUNS * STEPS / (time.perf_counter() - began)
        figures["compile_closed"] = records.attrs["compile_seconds"]
        network = Supervised(
            model=LazyModel(lambda key: CommitteeQuadratic(key, DIM, WIDTH, EPS, dtype="float64"), 1.0),
            loss=lambda outputs, targets: (outputs - targets) ** 2 / 2,
            optimiser=optax.sgd(1.0),
            stream=FullBatch(Batch(data.train_inputs, data.train_targets)),
            held_out=Batch(data.test_inputs, data.test_targets),
        )
        grid = _grid(NETWORK_SCALES, NETWORK_SCALES)
        began = time.perf_counter()
        state, records = run(network, jr.key(1), STEPS, probes=[losses(log_spaced(20))], over=grid, vary=with_point)
        jax.block_until_ready(state)
        figures["network"] = NETWORK_SCALES**2 * STEPS / (time.perf_counter() - began)
        figures["compile_network"] = records.attrs["compile_seconds"]
    return figures


def torch_loop() -> dict[str, float]:
    import numpy as np
    import torch

    generator = np.random.default_rng(0)
    beta = generator.normal(size=DIM)
    beta *= DIM**0.5 / np.linalg.norm(beta)
    inputs, test = (torch.tensor(generator.normal(size=(n, DIM)) / DIM**0.5) for n in (EXAMPLES, 1_000))
    targets, test_targets = ((x @ torch.tensor(beta)) ** 2 / 2 for x in (inputs, test))
    start = torch.tensor(generator.normal(size=(WIDTH, DIM)))
    recorded = {round(10 ** (i / 20)) for i in range(200)}

    def output(weights, x):
        h = x @ weights.T
        return (h + EPS / 2 * h**2).mean(1)

    def train(alpha: float, rate: float, steps: int) -> None:
        weights = start.clone().requires_grad_()
        optimiser = torch.optim.SGD([weights], lr=rate * WIDTH / alpha**2)
        with torch.no_grad():
            first, first_test = output(weights, inputs), output(weights, test)
        for step in range(1, steps + 1):
            optimiser.zero_grad()
            loss = ((targets - alpha * (output(weights, inputs) - first)) ** 2).mean() / 2
            loss.backward()
            optimiser.step()
            if step in recorded:
                with torch.no_grad():
                    ((test_targets - alpha * (output(weights, test) - first_test)) ** 2).mean().item()
                    loss.item()

    train(1.0, 1.0, 10)
    points = [(a, r) for a in _grid(2, 2)["alpha"] for r in _grid(2, 2)["rate"]][:LOOP_RUNS]
    began = time.perf_counter()
    for alpha, rate in points:
        train(alpha, rate, STEPS)
    return {"network": len(points) * STEPS / (time.perf_counter() - began)}


def summarise(sides: dict[str, dict]) -> str:
    mine, peer = sides["separatrix"], sides["torch loop"]
    rows = []
    for key, name, flop in (("closed", "closed dynamics", FLOP_CLOSED), ("network", "the network", FLOP_NETWORK)):
        share = mine[key] * flop / mine["double_rate"]
        minutes = RUNS * STEPS / mine[key] / 60
        rows.append(
            [
                name,
                f"{mine[key]:,.0f}",
                f"{peer['network']:,.0f}",
                f"{mine[key] / peer['network']:.1f}x",
                f"{minutes:.1f}",
                f"{share:.0%}",
                f"{mine[f'compile_{key}']:.1f}",
            ]
        )
    columns = ["", "separatrix steps/s", "torch steps/s", "ratio", f"minutes for {RUNS} runs"]
    columns += ["share of the float64 matrix rate", "compile s"]
    return "\n".join(
        [
            table(columns, rows),
            "",
            f"Steps of all runs, ours with compilation. The loop would take {RUNS * STEPS / peer['network'] / 60:.1f} "
            f"minutes. The matrix rate is {mine['double_rate'] / 1e9:.0f} GFLOP/s in float64 (1500 x 1500) and "
            f"{mine['matrix_rate'] / 1e9:.0f} in float32. Peak memory: {mine['peak_mib']:.0f} MiB against "
            f"{peer['peak_mib']:.0f} MiB.",
        ]
    )


if __name__ == "__main__":
    main(
        f"Grid: phase diagram of {RUNS} runs",
        {"separatrix": ours, "torch loop": torch_loop},
        summarise,
    )
