"""Training a shallow PLRNN with generalised teacher forcing: Separatrix against a PyTorch loop.

Work: the clipped shallow PLRNN with 3 units and 50 rectifiers, windows of 200 steps of 3 variables, 16 a batch, RAdam
with an exponentially falling rate, strength 0.3; every step counts one batch. Separatrix trains one model, and a
population of four strengths and five seeds in one program. The PyTorch loop trains one model with autograd through the
same recursion; its rate does not depend on the step, so it is timed on fewer of them. Both record loss and gradient
norm. Set `SMALL=1` in the environment for tiny sizes that only check the code.
"""

import os
import time

from harness import main, matrix_rate, table

SMALL = bool(os.environ.get("SMALL"))
UNITS, HIDDEN, POINTS = 3, (5 if SMALL else 50), (200 if SMALL else 15_000)
LENGTH, BATCH = (10, 4) if SMALL else (200, 16)
STEPS, LOOP_STEPS, POPULATION_STEPS = (20, 5, 20) if SMALL else (6_000, 60, 1_500)
ALPHAS, SEEDS = ((0.0, 0.3), 2) if SMALL else ((0.0, 0.1, 0.3, 1.0), 5)
# forward: two products a step; backward: two products for the state (here through the Jacobians, units^2 a rectifier)
# and two for the weights, which need the rectifiers again
FLOP = LENGTH * BATCH * HIDDEN * UNITS * 2 * (2 + UNITS + 2 + 1)
NUMBERS = LENGTH * BATCH * HIDDEN  # rectifiers evaluated in a forward pass


def _series():
    import numpy as np

    generator = np.random.default_rng(0)
    angle = 0.1 * np.arange(POINTS)
    clean = np.stack([np.sin(angle), np.cos(1.3 * angle), np.sin(0.7 * angle)], axis=1) * 2**0.5
    return (clean + 0.05 * generator.normal(size=clean.shape)).astype(np.float32)


def ours() -> dict[str, float]:
    import jax
    import jax.random as jr
    import numpy as np

    from separatrix import run
    from separatrix.dynamics import Reconstruction, decaying_radam, training_log, windows_of
    from separatrix.models import ClippedShallowPLRNN, IdentityObservation

    process = Reconstruction(
        model=lambda key: ClippedShallowPLRNN(UNITS, HIDDEN, key),
        observation=lambda key: IdentityObservation(UNITS),
        optimiser=decaying_radam(STEPS),
        stream=windows_of(_series(), LENGTH, BATCH),
        alpha=0.3,
    )
    figures = {"matrix_rate": matrix_rate()}
    began = time.perf_counter()
    state, records = run(process, jr.key(0), STEPS, probes=[training_log(1)])
    jax.block_until_ready(state)
    figures["single"] = STEPS / (time.perf_counter() - began)
    figures["compile_single"] = records.attrs["compile_seconds"]
    figures["single_run"] = STEPS / records.attrs["run_seconds"]
    began = time.perf_counter()
    keys = jr.split(jr.key(0), SEEDS)
    state, records = run(process, keys, POPULATION_STEPS, probes=[training_log(1)], over={"alpha": np.float32(ALPHAS)})
    jax.block_until_ready(state)
    members = len(ALPHAS) * SEEDS
    figures["population"] = members * POPULATION_STEPS / (time.perf_counter() - began)
    figures["population_run"] = members * POPULATION_STEPS / records.attrs["run_seconds"]
    figures["compile_population"] = records.attrs["compile_seconds"]
    figures["block"] = records.attrs["block"]
    return figures


def torch_loop() -> dict[str, float]:
    import math

    import torch

    series = torch.tensor(_series())
    torch.manual_seed(0)

    def uniform(*shape: int) -> torch.nn.Parameter:
        bound = 1 / math.sqrt(shape[-1])
        return torch.nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))

    class PLRNN(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.A = torch.nn.Parameter(torch.rand(UNITS))
            self.W1, self.W2, self.h2 = uniform(UNITS, HIDDEN), uniform(HIDDEN, UNITS), uniform(HIDDEN)
            self.h1 = torch.nn.Parameter(torch.zeros(UNITS))

        def forward(self, z):
            drive = z @ self.W2.T
            return self.A * z + (torch.relu(drive + self.h2) - torch.relu(drive)) @ self.W1.T + self.h1

    model = PLRNN()
    optimiser = torch.optim.RAdam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, (1e-6 / 1e-3) ** (1 / STEPS))

    def train(steps: int, alpha: float = 0.3) -> None:
        for _ in range(steps):
            starts = torch.randint(0, POINTS - LENGTH, (BATCH,))
            x = series[torch.arange(LENGTH + 1)[:, None] + starts]
            z, predictions = x[0], []
            for t in range(1, LENGTH + 1):
                predicted = model(z)
                predictions.append(predicted)
                z = (1 - alpha) * predicted + alpha * x[t]
            loss = ((torch.stack(predictions) - x[1:]) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            loss.item()
            torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in model.parameters()])).item()
            optimiser.step()
            schedule.step()

    figures = {}
    rates = []
    for threads in (1, torch.get_num_threads()):
        torch.set_num_threads(threads)
        train(2)
        began = time.perf_counter()
        train(LOOP_STEPS)
        rates.append(LOOP_STEPS / (time.perf_counter() - began))
    figures["single"] = max(rates)  # the better number of threads
    return figures


def summarise(sides: dict[str, dict]) -> str:
    mine, peer = sides["separatrix"], sides["torch loop"]
    rows = []
    for key, name in (("single", "one model"), ("population", f"{len(ALPHAS) * SEEDS} models")):
        rows.append(
            [
                name,
                f"{mine[key]:,.0f}",
                f"{mine[f'{key}_run']:,.0f}",
                f"{peer['single']:,.1f}",
                f"{mine[key] / peer['single']:.0f}x",
                f"{mine[f'{key}_run'] * FLOP / 1e9:.1f}",
                f"{mine[f'compile_{key}']:.1f}",
            ]
        )
    columns = ["", "separatrix steps/s", "without compilation", "torch steps/s", "ratio", "GFLOP/s", "compile s"]
    return "\n".join(
        [
            table(columns, rows),
            "",
            f"Steps of all models, ours with compilation unless said otherwise; the loop trains one model at a time. "
            f"A step needs {FLOP / 1e6:.1f} MFLOP, most of it in products with an inner or outer dimension of {UNITS}, "
            f"and {NUMBERS:,} rectifiers three times over, so memory traffic and the {LENGTH} sequential steps of the "
            f"forward pass, not the matrix rate of {mine['matrix_rate'] / 1e9:.0f} GFLOP/s, are the floor. Members "
            f"vmapped together: {mine['block']:.0f}. Peak memory: {mine['peak_mib']:.0f} MiB against "
            f"{peer['peak_mib']:.0f} MiB.",
        ]
    )


if __name__ == "__main__":
    main(
        "PLRNN: training with generalised teacher forcing",
        {"separatrix": ours, "torch loop": torch_loop},
        summarise,
    )
