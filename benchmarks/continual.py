r"""Replay on split digits with an evaluation of every task after every update: against Avalanche and a PyTorch loop.

Work: an MLP 64-100-100-10, five tasks of two digits, 84 updates each (12 epochs of 7 batches), SGD with momentum, 32
new and 32 stored examples an update, and after every update the accuracy on the 540 test examples of all five tasks.
One seed, and a population of 64. Avalanche runs its `ReplayPlugin` with `eval_every=1, peval_mode="iteration"`; the
loop is plain PyTorch. Both train one seed at a time, so their rates serve for the population; they are timed on fewer
epochs, at a constant cost an update. Set `SMALL=1` in the environment for tiny sizes that only check the code.

Avalanche 0.6 is not among the extras, because its dependencies would replace a CPU build of PyTorch:

    pip install --no-deps avalanche-lib torchvision torchmetrics lightning-utilities gputil dill gdown qpsolvers tqdm \
        psutil pytorchcv beautifulsoup4 soupsieve filelock tensorboard protobuf absl-py grpcio markdown werkzeug

torchvision's compiled operators do not load beside that build, and its import then fails at `torchvision::nms`;
Avalanche calls none of them here, so their registration is skipped, and so is a logger (wandb) that is not installed.
Where Avalanche cannot be imported, its figures are NaN.
"""

import importlib.util
import os
import sys
import time
import types

from harness import main, matrix_rate, table

SMALL = bool(os.environ.get("SMALL"))
EPOCHS, SEEDS = (1, 2) if SMALL else (12, 64)
PEER_EPOCHS = 1 if SMALL else 2
BATCH, HIDDEN, STORED, RATE, MOMENTUM = 32, 100, 200, 0.03, 0.9
BATCHES = 7  # an epoch of the smallest task, about 245 examples
STEPS, TASKS, TESTS = EPOCHS * BATCHES, 5, 540
WEIGHTS = 64 * HIDDEN + HIDDEN * HIDDEN + HIDDEN * 10
FLOP = 2 * WEIGHTS * (3 * 2 * BATCH + TESTS)  # forward and backward on 64 examples, forward on the tests


def _digits():
    import jax.random as jr

    from separatrix.data import class_incremental, digits

    return class_incremental(digits(jr.key(0), 1_257))


def ours() -> dict[str, float]:
    import jax
    import jax.random as jr
    import optax

    from separatrix import run
    from separatrix.continual import Balanced, Learner, evaluation_cost, experience_replay, task_evaluation
    from separatrix.data import TaskStream
    from separatrix.models import MLP

    tasks = _digits()
    learner = Learner(
        model=lambda key: MLP(key, (64, HIDDEN, HIDDEN, 10), use_bias=True),
        loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        optimiser=optax.sgd(RATE, momentum=MOMENTUM),
        stream=TaskStream(tasks, STEPS, BATCH),
    )
    process = experience_replay(Balanced(STORED, groups=10))(learner)
    probe = task_evaluation(tasks)
    figures = {"matrix_rate": matrix_rate()}
    for name, keys in (("single", jr.key(0)), ("population", jr.split(jr.key(0), SEEDS))):
        began = time.perf_counter()
        state, records = run(process, keys, TASKS * STEPS, probes=[probe])
        jax.block_until_ready(state)
        total = TASKS * STEPS * max(1, keys.size)
        figures[name] = total / (time.perf_counter() - began)
        figures[f"{name}_compiled"] = total / max(records.attrs["run_seconds"], 1e-9)
        figures[f"{name}_compile_seconds"] = records.attrs["compile_seconds"]
        figures[f"{name}_accuracy"] = float(records["task_accuracy"][..., -1, :].mean())
    figures["share"] = evaluation_cost(process, jr.key(1), probe, steps=TASKS * STEPS)["share"]
    return figures


def torch_loop() -> dict[str, float]:
    import numpy as np
    import torch

    torch.manual_seed(0)
    tasks, rng = _digits(), np.random.default_rng(0)
    sets = [
        [torch.tensor(np.asarray(a)) for a in (tasks.train_inputs[t], tasks.train_targets[t])] for t in range(TASKS)
    ]
    tests = [[torch.tensor(np.asarray(a)) for a in tasks.tests(t)[:2]] for t in range(TASKS)]
    tests = [[x[:n], y[:n].long()] for (x, y), n in zip(tests, tasks.test_counts, strict=True)]
    model = _network()
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    loss_of, kept, done, accuracy = torch.nn.functional.cross_entropy, [], 0, []
    began = time.perf_counter()
    for task, count in enumerate(tasks.train_counts):
        x, y = sets[task][0][:count], sets[task][1][:count].long()
        for _ in range(PEER_EPOCHS):
            order = torch.randperm(count)
            for batch in range(BATCHES):
                rows = order[batch * BATCH : (batch + 1) * BATCH]
                loss = loss_of(model(x[rows]), y[rows])
                if kept:
                    old_x, old_y = torch.cat([k[0] for k in kept]), torch.cat([k[1] for k in kept])
                    drawn = torch.randperm(len(old_x))[:BATCH]
                    loss = 0.5 * loss + 0.5 * loss_of(model(old_x[drawn]), old_y[drawn])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                done += 1
                with torch.no_grad():
                    accuracy.append([(model(a).argmax(1) == b).float().mean().item() for a, b in tests])
        chosen = rng.permutation(count)[: STORED // TASKS]
        kept.append((x[chosen], y[chosen]))
    return {"rate": done / (time.perf_counter() - began), "accuracy": float(np.mean(accuracy[-1]))}


def _network():
    from torch import nn

    layers = [nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)]
    return nn.Sequential(*layers)


def avalanche() -> dict[str, float]:
    import numpy as np
    import torch

    torch.manual_seed(0)
    # torchvision registers shapes of compiled operators that do not load beside a CPU build of PyTorch
    skipped = ["torchvision._meta_registrations"]
    if importlib.util.find_spec("wandb") is None:
        skipped.append("wandb")  # a logger that is not used here
    for name in skipped:
        sys.modules.setdefault(name, types.ModuleType(name))
    try:
        from avalanche.benchmarks import tensors_benchmark  # pyright: ignore[reportMissingImports]
        from avalanche.evaluation.metrics import accuracy_metrics  # pyright: ignore[reportMissingImports]
        from avalanche.training import Naive  # pyright: ignore[reportMissingImports]
        from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        print(f"Avalanche cannot be imported: {error}")
        return {"rate": float("nan"), "accuracy": float("nan")}
    tasks = _digits()
    as_tensors = lambda x, y, n: (torch.tensor(np.asarray(x[:n])), torch.tensor(np.asarray(y[:n])).long())  # noqa: E731
    benchmark = tensors_benchmark(
        train_tensors=[
            as_tensors(tasks.train_inputs[t], tasks.train_targets[t], n) for t, n in enumerate(tasks.train_counts)
        ],
        test_tensors=[
            as_tensors(tasks.test_inputs[t], tasks.test_targets[t], n) for t, n in enumerate(tasks.test_counts)
        ],
        task_labels=[0] * TASKS,
        complete_test_set_only=False,
    )
    model = _network()
    strategy = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM),
        criterion=torch.nn.CrossEntropyLoss(),
        train_mb_size=BATCH,
        plugins=[ReplayPlugin(mem_size=STORED, batch_size_mem=BATCH)],
        train_epochs=PEER_EPOCHS,
        eval_mb_size=TESTS,
        evaluator=EvaluationPlugin(accuracy_metrics(experience=True), loggers=[]),
        eval_every=1,
        peval_mode="iteration",
    )
    began = time.perf_counter()
    for experience in benchmark.train_stream:
        strategy.train(experience, eval_streams=[benchmark.test_stream])
    seconds = time.perf_counter() - began
    found = strategy.eval(benchmark.test_stream)
    accuracy = np.mean([value for name, value in found.items() if name.startswith("Top1_Acc_Exp")])
    return {"rate": strategy.clock.train_iterations / seconds, "accuracy": float(accuracy)}


def summarise(sides: dict[str, dict]) -> str:
    mine, loop, peer = sides["separatrix"], sides["torch loop"], sides["avalanche"]
    rows = []
    for key, name in (("single", "one seed"), ("population", f"{SEEDS} seeds")):
        rate = mine[key]
        rows.append(
            [
                name,
                f"{rate:,.0f}",
                f"{mine[f'{key}_compiled']:,.0f}",
                f"{loop['rate']:,.0f}",
                f"{peer['rate']:,.1f}",
                f"{rate / loop['rate']:.1f}x",
                f"{rate / peer['rate']:.0f}x",
                f"{mine['matrix_rate'] / FLOP / loop['rate']:.1f}x",
                f"{mine[f'{key}_compiled'] * FLOP / mine['matrix_rate']:.0%}",
            ]
        )
    columns = ["", "separatrix steps/s", "without compilation", "torch loop", "Avalanche", "over the loop"]
    columns += ["over Avalanche", "most over the loop", "share of the matrix rate"]
    return "\n".join(
        [
            table(columns, rows),
            "",
            f"Updates with an evaluation each; ours in the first column with compilation "
            f"({mine['single_compile_seconds']:.1f} s). The most over the loop is what {FLOP / 1e6:.0f} MFLOP an "
            f"update allow at the matrix rate. The evaluation takes {mine['share']:.0%} of our time. Final "
            f"accuracy: {mine['population_accuracy']:.2f} after {EPOCHS} epochs a task, loop {loop['accuracy']:.2f} "
            f"and Avalanche {peer['accuracy']:.2f} after {PEER_EPOCHS}. The matrix rate is "
            f"{mine['matrix_rate'] / 1e9:.0f} GFLOP/s (float32). Peak memory: {mine['peak_mib']:.0f}, "
            f"{loop['peak_mib']:.0f} and {peer['peak_mib']:.0f} MiB.",
        ]
    )


if __name__ == "__main__":
    main(
        "Continual: replay on split digits, evaluated after every update",
        {"separatrix": ours, "torch loop": torch_loop, "avalanche": avalanche},
        summarise,
    )
