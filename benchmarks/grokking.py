"""Full-batch perpAdamW on modular addition: Separatrix against a PyTorch loop.

Work: p = 113, 40 % of the pairs, network 226-200-200-113 without biases, float32 cross-entropy, perpAdamW with betas
(.9, .999), epsilon 1e-8, rate .01, for 200 steps; then for 8 seeds. The PyTorch loop is written from the description of
the authors' training script: one-hot inputs, a fresh order of the samples at every epoch, and an optimiser that wraps
AdamW and makes each tensor's gradient orthogonal to its weights. Neither side evaluates or logs. Both sides take plain
float32 cross-entropy (optax's here); the loss whose every intermediate value is rounded in a defined order, which the
study uses, is timed beside it.
"""

import time

from harness import main, matrix_rate, table

P, FRACTION, WIDTH, STEPS, SEEDS = 113, 0.4, 200, 200, 8
EXAMPLES = int(FRACTION * P * P)
# Products of the hidden and the last layer, forward, to the inputs, to the weights. The first layer is a look-up here.
FLOP_PER_STEP = 6 * EXAMPLES * (WIDTH * WIDTH + WIDTH * P)


def ours() -> dict[str, float]:
    import jax
    import jax.random as jr
    import optax

    from separatrix import FullBatch, named_key, run
    from separatrix.data import modular_arithmetic
    from separatrix.models import PairMLP
    from separatrix.training import Batch, Supervised, perp_grad, softmax_cross_entropy

    def model(key):
        return PairMLP(key, P, hidden=(WIDTH, WIDTH))

    optimiser = optax.chain(perp_grad(), optax.adamw(0.01, weight_decay=0.0))

    def build_with(loss):
        def build(key):
            split = modular_arithmetic(named_key(key, "data"), P, "add", FRACTION, "pairs")
            stream = FullBatch(Batch(split.train_inputs, split.train_targets))
            return Supervised(model=model, loss=loss, optimiser=optimiser, stream=stream)

        return build

    def seconds_for(build, seeds):
        began = time.perf_counter()
        state, _ = run(build, jr.split(jr.key(1), seeds), STEPS)
        jax.block_until_ready(state)
        return time.perf_counter() - began

    plain = build_with(optax.softmax_cross_entropy_with_integer_labels)
    began = time.perf_counter()
    run(plain, jr.split(jr.key(0), 1), 1)
    compiled = time.perf_counter() - began
    seconds = {seeds: seconds_for(plain, seeds) for seeds in (1, SEEDS)}
    rounded = build_with(softmax_cross_entropy)
    run(rounded, jr.split(jr.key(0), 1), 1)
    return {
        "compile": compiled,
        "rounded": STEPS / seconds_for(rounded, 1),
        "one": STEPS / seconds[1],
        "many": SEEDS * STEPS / seconds[SEEDS],
        "matrix_rate": matrix_rate(),
    }


def torch_loop() -> dict[str, float]:
    import torch

    class PerpAdamW:
        """AdamW on gradients without their component along the weights, at the original length."""

        def __init__(self, parameters):
            self.parameters = list(parameters)
            self.inner = torch.optim.AdamW(self.parameters, lr=0.01, weight_decay=0.0)

        @torch.no_grad()
        def step(self):
            for w in self.parameters:
                weights, gradient = w.view(-1), w.grad.view(-1)
                along = torch.dot(weights, gradient) / (torch.dot(weights, weights) + 1e-30)
                left = gradient - along * weights
                left = left * (gradient.norm() / (left.norm() + 1e-30))
                w.grad.copy_(left.view_as(w))
            self.inner.step()

    def train(seed: int, steps: int) -> None:
        torch.manual_seed(seed)
        pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
        chosen = pairs[torch.randperm(len(pairs))[:EXAMPLES]]
        inputs = torch.nn.functional.one_hot(chosen, P).reshape(EXAMPLES, 2 * P).float()
        targets = chosen.sum(1) % P
        model = torch.nn.Sequential(
            torch.nn.Linear(2 * P, WIDTH, bias=False),
            torch.nn.ReLU(),
            torch.nn.Linear(WIDTH, WIDTH, bias=False),
            torch.nn.ReLU(),
            torch.nn.Linear(WIDTH, P, bias=False),
        )
        optimiser = PerpAdamW(model.parameters())
        for _ in range(steps):
            order = torch.randperm(EXAMPLES)
            x, y = inputs[order], targets[order]
            for w in optimiser.parameters:
                w.grad = None
            log_probabilities = torch.log_softmax(model(x), dim=-1)
            loss = -log_probabilities.gather(1, y[:, None]).mean()
            loss.backward()
            optimiser.step()

    train(0, 3)
    seconds = {}
    for seeds in (1, SEEDS):
        began = time.perf_counter()
        for seed in range(seeds):
            train(seed, STEPS)
        seconds[seeds] = time.perf_counter() - began
    return {"compile": 0.0, "one": STEPS / seconds[1], "many": SEEDS * STEPS / seconds[SEEDS]}


def summarise(sides: dict[str, dict]) -> str:
    mine, peer = sides["separatrix"], sides["torch"]
    rows = []
    for key, name in (("one", f"{STEPS} steps, one seed"), ("many", f"{STEPS} steps, {SEEDS} seeds")):
        share = mine[key] * FLOP_PER_STEP / mine["matrix_rate"]
        rows.append([name, f"{mine[key]:.0f}", f"{peer[key]:.0f}", f"{mine[key] / peer[key]:.2f}x", f"{share:.0%}"])
    rate = mine["rounded"]
    share = rate * FLOP_PER_STEP / mine["matrix_rate"]
    rows.append(
        [
            "one seed, the rounded loss",
            f"{rate:.0f}",
            f"{peer['one']:.0f}",
            f"{rate / peer['one']:.2f}x",
            f"{share:.0%}",
        ]
    )
    return "\n".join(
        [
            table(["", "separatrix steps/s", "torch steps/s", "ratio", "share of the matrix rate"], rows),
            "",
            f"The matrix rate is {mine['matrix_rate'] / 1e9:.0f} GFLOP/s (float32, 3000 x 3000). A step needs "
            f"{FLOP_PER_STEP / 1e9:.2f} GFLOP in the two dense layers. First call: {mine['compile']:.1f} s with "
            f"compilation. The rounded loss, which the study uses, fixes order and precision of every operation. "
            f"Peak memory: {mine['peak_mib']:.0f} MiB against {peer['peak_mib']:.0f} MiB.",
        ]
    )


if __name__ == "__main__":
    main("Grokking: full-batch perpAdamW", {"separatrix": ours, "torch": torch_loop}, summarise)
