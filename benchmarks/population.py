"""A population of small networks, 32 seeds x 16 learning rates: Separatrix against PyTorch.

Work: network 64-64-64-10 with biases on the digits, Adam, batches of 32 or 256 drawn with replacement, 500 steps, 512
runs. The plain loop is timed on 16 of the runs and `torch.func.vmap` over all 512 for 100 steps; both rates are
constant over runs and steps, so their figures are scaled.
"""

import itertools
import time

from harness import main, matrix_rate, table

SEEDS, RATES, STEPS, BATCHES = 32, 16, 500, (32, 256)
SIZES = (64, 64, 64, 10)
LOOP_RUNS, VMAP_STEPS = 16, 100
FLOP_PER_EXAMPLE = 6 * sum(a * b for a, b in itertools.pairwise(SIZES)) - 2 * SIZES[0] * SIZES[1]


def ours() -> dict[str, float]:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import jax.random as jr
    import optax

    from separatrix import MiniBatches, run
    from separatrix.data import digits
    from separatrix.models import MLP
    from separatrix.training import Batch, Supervised

    split = digits(jr.key(0), num_train=1500)
    data = Batch(split.train_inputs, split.train_targets)

    def with_rate(process, values):
        return eqx.tree_at(lambda p: p.optimiser, process, optax.adam(values["rate"]))

    figures = {"matrix_rate": matrix_rate()}
    rates = jnp.logspace(-4, -2, RATES)
    for batch in BATCHES:
        process = Supervised(
            model=lambda key: MLP(key, SIZES, use_bias=True),
            loss=optax.softmax_cross_entropy_with_integer_labels,
            optimiser=optax.adam(1e-3),
            stream=MiniBatches(data, batch, replace=True),
        )
        began = time.perf_counter()
        state, records = run(process, jr.split(jr.key(1), SEEDS), STEPS, over={"rate": rates}, vary=with_rate)
        jax.block_until_ready(state)
        figures[f"total_{batch}"] = time.perf_counter() - began
        figures[f"compile_{batch}"] = records.attrs["compile_seconds"]
        figures[f"block_{batch}"] = records.attrs["block"]
        figures[f"runs_{batch}"] = SEEDS * RATES * STEPS / (figures[f"total_{batch}"])
    return figures


def _torch_data():
    import torch
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images[:1500] / 16, dtype=torch.float32), torch.tensor(labels[:1500])


def torch_loop() -> dict[str, float]:
    import torch

    inputs, targets = _torch_data()

    def train(seed: int, rate: float, batch: int, steps: int) -> None:
        torch.manual_seed(seed)
        model = torch.nn.Sequential(
            torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
        )
        optimiser = torch.optim.Adam(model.parameters(), lr=rate)
        for _ in range(steps):
            rows = torch.randint(len(inputs), (batch,))
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimiser.step()

    figures = {}
    for batch in BATCHES:
        train(0, 1e-3, batch, 10)
        began = time.perf_counter()
        for number in range(LOOP_RUNS):
            train(number, 1e-3, batch, STEPS)
        figures[f"runs_{batch}"] = LOOP_RUNS * STEPS / (time.perf_counter() - began)
    return figures


def torch_vmap() -> dict[str, float]:
    import torch

    inputs, targets = _torch_data()
    members = SEEDS * RATES
    rates = torch.logspace(-4, -2, RATES).repeat(SEEDS)[:, None, None]

    def loss(parameters, x, y):
        for i in range(3):
            x = x @ parameters[2 * i] + parameters[2 * i + 1]
            x = torch.relu(x) if i < 2 else x
        return torch.nn.functional.cross_entropy(x, y)

    gradient = torch.func.vmap(torch.func.grad(loss))
    figures = {}
    for batch in BATCHES:
        shapes = [s for a, b in itertools.pairwise(SIZES) for s in ((a, b), (1, b))]
        parameters = [(torch.rand(members, *s) * 2 - 1) / 8 for s in shapes]
        first = [torch.zeros_like(p) for p in parameters]
        second = [torch.zeros_like(p) for p in parameters]

        def step(count, batch=batch, parameters=parameters, first=first, second=second):
            rows = torch.randint(len(inputs), (members, batch))
            grads = gradient(tuple(parameters), inputs[rows], targets[rows])
            for p, g, m, v in zip(parameters, grads, first, second, strict=True):
                m.lerp_(g, 0.1)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                scale = (v / (1 - 0.999**count)).sqrt_().add_(1e-8)
                p.sub_(rates * (m / (1 - 0.9**count)) / scale)

        for count in range(1, 4):
            step(count)
        began = time.perf_counter()
        for count in range(4, 4 + VMAP_STEPS):
            step(count)
        figures[f"runs_{batch}"] = members * VMAP_STEPS / (time.perf_counter() - began)
    return figures


def summarise(sides: dict[str, dict]) -> str:
    mine, loop, vmap = sides["separatrix"], sides["torch loop"], sides["torch.func.vmap"]
    rows = []
    for batch in BATCHES:
        key = f"runs_{batch}"
        share = mine[key] * batch * FLOP_PER_EXAMPLE / mine["matrix_rate"]
        rows.append(
            [
                str(batch),
                f"{mine[key]:,.0f}",
                f"{loop[key]:,.0f}",
                f"{vmap[key]:,.0f}",
                f"{mine[key] / loop[key]:.1f}x",
                f"{mine[key] / vmap[key]:.1f}x",
                f"{share:.0%}",
                f"{mine[f'compile_{batch}']:.1f}",
                f"{mine[f'block_{batch}']:.0f}",
            ]
        )
    columns = ["batch", "separatrix steps/s", "loop steps/s", "func.vmap steps/s", "over the loop", "over func.vmap"]
    columns += ["share of the matrix rate", "compile s", "block"]
    memory = ", ".join(f"{name} {figures['peak_mib']:.0f} MiB" for name, figures in sides.items())
    return "\n".join(
        [
            table(columns, rows),
            "",
            "Steps of all members; ours include compilation and the measurement that chose the layout (the "
            f"members vmapped in a block). The matrix rate is {mine['matrix_rate'] / 1e9:.0f} GFLOP/s. "
            f"Peak memory: {memory}.",
        ]
    )


if __name__ == "__main__":
    main(
        "Population: 32 seeds x 16 learning rates",
        {"separatrix": ours, "torch loop": torch_loop, "torch.func.vmap": torch_vmap},
        summarise,
    )
