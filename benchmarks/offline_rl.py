"""Updates of offline learners: Separatrix against CORL, a leaner PyTorch loop, and d3rlpy.

Work: 100,000 logged transitions of 17 observations and 6 actions; an update draws a batch with replacement, and
changes policy, critics, temperature and averages once (TD3+BC changes its policy every second time). Learners: SAC
with N critics of which the least counts, and TD3+BC; networks of 64 x 2 and 256 x 2. CORL runs the buffers, networks
and updates of its own files `sac_n.py` and `td3_bc.py`, with as many and as wide layers; set `CORL` in the
environment to a clone of tinkoff-ai/CORL, or its figures are NaN. The PyTorch loop holds the critics of an ensemble
in one batched product, as CORL does, evaluates the policy once where CORL does it twice, and logs nothing. Figures of
both are the better of one thread and all. d3rlpy runs its own SAC and TD3+BC with the same sizes. Separatrix runs one
seed, and a population of four, as it would be used.
Set `SMALL=1` in the environment for tiny sizes that only check the code.
"""

import os
import time

from harness import main, matrix_rate, table

SMALL = bool(os.environ.get("SMALL"))
ROWS, OBS, ACT, SEEDS = (500, 17, 6, 2) if SMALL else (100_000, 17, 6, 4)
SECONDS = 0.2 if SMALL else 5.0  # that a peer is timed
CASES = {  # learner, critics, width, batch, our updates
    "SAC, 2 critics, 64 x 2, batch 128": ("sac", 2, 64, 128, 10_000),
    "SAC-N, 10 critics, 64 x 2, batch 256": ("sac", 10, 64, 256, 3_000),
    "TD3+BC, 64 x 2, batch 256": ("td3", 2, 64, 256, 10_000),
    "SAC, 2 critics, 256 x 2, batch 256": ("sac", 2, 256, 256, 1_500),
    "SAC-N, 10 critics, 256 x 2, batch 256": ("sac", 10, 256, 256, 400),
    "TD3+BC, 256 x 2, batch 256": ("td3", 2, 256, 256, 1_500),
}
if SMALL:
    CASES = {
        name: (learner, critics, 8, 16, 20) for name, (learner, critics, *_) in CASES.items() if "256 x" not in name
    }


def _data():
    import numpy as np

    generator = np.random.default_rng(0)
    normal = lambda *shape: generator.normal(size=shape).astype(np.float32)  # noqa: E731
    actions = generator.uniform(-1, 1, (ROWS, ACT)).astype(np.float32)
    return normal(ROWS, OBS), actions, normal(ROWS), normal(ROWS, OBS), generator.random(ROWS) < 0.005


def flop(learner: str, critics: int, width: int, batch: int) -> float:
    """Products of an update, two operations each; a backward pass costs twice a forward pass, to inputs alone once."""
    policy = OBS * width + width**2 + width * ACT * (2 if learner == "sac" else 1)
    critic = critics * ((OBS + ACT) * width + width**2 + width)
    if learner == "sac":  # policy at s with its gradient, at s'; critic: of the policy's action, averaged, and trained
        return 2 * batch * ((3 + 1) * policy + (2 + 1 + 3) * critic)
    return 2 * batch * ((3 / 2 + 1) * policy + (2 / 2 / critics + 1 + 3) * critic)


def ours() -> dict[str, float]:
    import jax
    import jax.numpy as jnp
    import jax.random as jr

    from separatrix import run
    from separatrix.rl import Transitions, sac_n, td3_bc

    figures = {"matrix_rate": matrix_rate(300 if SMALL else 3_000)}
    data = Transitions(*(jnp.asarray(a) for a in _data()))
    for name, (learner, critics, width, batch, updates) in CASES.items():
        sizes = {"hidden": (width, width), "batch_size": batch}
        process = sac_n(data, members=critics, **sizes) if learner == "sac" else td3_bc(data, **sizes)
        for label, key in (("one", jr.key(0)), ("population", jr.split(jr.key(0), SEEDS))):
            state, records = run(process, key, updates)
            jax.block_until_ready(state)
            members = SEEDS if label == "population" else 1
            figures[f"{name} {label}"] = members * updates / records.attrs["run_seconds"]
            figures[f"{name} {label} compile"] = records.attrs["compile_seconds"]
    return figures


def torch_side() -> dict[str, float]:
    import copy
    import math

    import torch
    from torch import nn

    data = [torch.as_tensor(a) for a in _data()]
    data[4] = data[4].float()

    class Stacked(nn.Module):
        def __init__(self, members, into, out):
            super().__init__()
            bound = 1 / math.sqrt(into)
            self.weight = nn.Parameter(torch.empty(members, into, out).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.zeros(members, 1, out))

        def forward(self, x):
            return torch.baddbmm(self.bias, x, self.weight)

    class Critics(nn.Module):
        def __init__(self, members, width):
            super().__init__()
            self.members = members
            self.layers = nn.Sequential(
                Stacked(members, OBS + ACT, width), nn.ReLU(), Stacked(members, width, width), nn.ReLU(),
                Stacked(members, width, 1),
            )  # fmt: skip

        def forward(self, s, a):
            x = torch.cat([s, a], dim=-1)
            return self.layers(x.unsqueeze(0).expand(self.members, *x.shape)).squeeze(-1)

    def network(width, out):
        return nn.Sequential(
            nn.Linear(OBS, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out)
        )

    def sample(policy, s):
        mean, log_std = policy(s).chunk(2, dim=-1)
        distribution = torch.distributions.Normal(mean, log_std.clamp(-5, 2).exp(), validate_args=False)
        raw = distribution.rsample()
        squash = 2 * (math.log(2) - raw - nn.functional.softplus(-2 * raw))
        return raw.tanh(), (distribution.log_prob(raw) - squash).sum(-1)

    def adam(module):
        return torch.optim.Adam(module.parameters(), lr=3e-4)

    def average(slow, fast):
        with torch.no_grad():
            torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), 5e-3)

    def descend(optimiser, loss):
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def make(learner, critics, width, batch):
        critic = Critics(critics, width)
        slow_critic, critic_optimiser = copy.deepcopy(critic), adam(critic)

        def draw():
            rows = torch.randint(0, ROWS, (batch,))
            return [a[rows] for a in data]

        if learner == "sac":
            policy = network(width, 2 * ACT)
            policy_optimiser = adam(policy)
            log_temperature = nn.Parameter(torch.zeros(()))
            temperature_optimiser = torch.optim.Adam([log_temperature], lr=3e-4)

            def update():
                s, a, r, after, d = draw()
                action, log_prob = sample(policy, s)
                descend(temperature_optimiser, -log_temperature * (log_prob.detach() - ACT).mean())
                temperature = log_temperature.detach().exp()
                descend(policy_optimiser, (temperature * log_prob - critic(s, action).min(0).values).mean())
                with torch.no_grad():
                    action, log_prob = sample(policy, after)
                    target = r + 0.99 * (1 - d) * (slow_critic(after, action).min(0).values - temperature * log_prob)
                descend(critic_optimiser, ((critic(s, a) - target) ** 2).mean(1).sum())
                average(slow_critic, critic)

            return update
        policy = network(width, ACT)
        slow_policy, policy_optimiser, count = copy.deepcopy(policy), adam(policy), [0]

        def update():
            s, a, r, after, d = draw()
            with torch.no_grad():
                noise = (0.2 * torch.randn_like(a)).clamp(-0.5, 0.5)
                action = (slow_policy(after).tanh() + noise).clamp(-1, 1)
                target = r + 0.99 * (1 - d) * slow_critic(after, action).min(0).values
            descend(critic_optimiser, ((critic(s, a) - target) ** 2).mean(1).sum())
            count[0] += 1
            if count[0] % 2 == 0:
                action = policy(s).tanh()
                value = critic(s, action)[0]
                scale = 2.5 / value.abs().mean().detach()
                descend(policy_optimiser, ((action - a) ** 2).mean() - scale * value.mean())
                average(slow_critic, critic)
                average(slow_policy, policy)

        return update

    return _best_of_threads(make)


def corl_side() -> dict[str, float]:
    import importlib.util
    import sys
    import types
    from pathlib import Path

    import torch
    from torch import nn

    folder = Path(os.environ.get("CORL", "")) / "algorithms" / "offline"
    if not (folder / "sac_n.py").exists():
        return {name: float("nan") for name in CASES}
    for name in ("d4rl", "gym", "wandb", "pyrallis"):  # of which an update makes no use
        sys.modules[name] = types.ModuleType(name)
    sys.modules["gym"].Env = object  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules["pyrallis"].wrap = lambda: lambda train: train  # pyright: ignore[reportAttributeAccessIssue]

    def load(name):
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    sac_n, td3_bc = load("sac_n"), load("td3_bc")
    fields = ("observations", "actions", "rewards", "next_observations", "terminals")
    data = dict(zip(fields, _data(), strict=True))
    adam = lambda module: torch.optim.Adam(module.parameters(), lr=3e-4)  # noqa: E731

    def network(into, width, out):
        return nn.Sequential(
            nn.Linear(into, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out)
        )

    def make(learner, critics, width, batch):
        module = sac_n if learner == "sac" else td3_bc
        buffer = module.ReplayBuffer(OBS, ACT, ROWS)
        buffer.load_d4rl_dataset(data)
        if learner == "sac":
            actor, critic = module.Actor(OBS, ACT, width), module.VectorizedCritic(OBS, ACT, width, critics)
            actor.trunk = actor.trunk[:4]  # it has a third hidden layer by itself
            critic.critic = nn.Sequential(*critic.critic[:4], critic.critic[-1])
            trainer = module.SACN(actor, adam(actor), critic, adam(critic), alpha_learning_rate=3e-4)
            return lambda: trainer.update(buffer.sample(batch))
        actor, first, second = module.Actor(OBS, ACT, 1.0), module.Critic(OBS, ACT), module.Critic(OBS, ACT)
        actor.net = nn.Sequential(network(OBS, width, ACT), nn.Tanh())
        first.net, second.net = network(OBS + ACT, width, 1), network(OBS + ACT, width, 1)
        trainer = module.TD3_BC(1.0, actor, adam(actor), first, adam(first), second, adam(second))
        return lambda: trainer.train(buffer.sample(batch))

    return _best_of_threads(make)


def _best_of_threads(make) -> dict[str, float]:
    import torch

    figures = {}
    for name, (learner, critics, width, batch, _) in CASES.items():
        for threads in sorted({1, len(os.sched_getaffinity(0))}):
            torch.set_num_threads(threads)
            figures[name] = max(_rate(make(learner, critics, width, batch)), figures.get(name, 0.0))
    return figures


def _rate(update) -> float:
    for _ in range(20):
        update()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        for _ in range(10):
            update()
        count += 10
    return count / (time.perf_counter() - began)


def d3rlpy_side() -> dict[str, float]:
    import contextlib
    import io
    import logging
    import warnings

    warnings.simplefilter("ignore")
    with contextlib.redirect_stderr(io.StringIO()):  # gym's notice
        import d3rlpy
    import structlog
    from d3rlpy.algos import SACConfig, TD3PlusBCConfig
    from d3rlpy.models import VectorEncoderFactory

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    s, a, r, _, d = _data()
    d = d.astype("float32")
    ends = d.copy()
    ends[999::1000] = 1.0
    dataset = d3rlpy.dataset.MDPDataset(s, a, r, ends)
    figures = {}
    for name, (learner, critics, width, batch, _) in CASES.items():
        encoder = VectorEncoderFactory(hidden_units=[width, width])
        shared = {"batch_size": batch, "actor_encoder_factory": encoder, "critic_encoder_factory": encoder}
        config = SACConfig(n_critics=critics, **shared) if learner == "sac" else TD3PlusBCConfig(**shared)
        algorithm = config.create(device="cpu:0")
        algorithm.build_with_dataset(dataset)

        def update(algorithm=algorithm, batch=batch):
            algorithm.update(dataset.sample_transition_batch(batch))

        figures[name] = _rate(update)
    return figures


def summarise(sides: dict[str, dict]) -> str:
    mine, torch, corl, peer = sides["separatrix"], sides["torch"], sides["CORL"], sides["d3rlpy"]
    rows = []
    for name, case in CASES.items():
        one, population = mine[f"{name} one"], mine[f"{name} population"]
        most = mine["matrix_rate"] / flop(*case[:4])
        rows.append(
            [
                name,
                *(f"{rate:,.0f}" for rate in (one, population, corl[name], torch[name], peer[name])),
                *(f"{population / rate:.1f}x" for rate in (corl[name], torch[name], peer[name])),
                f"{one / corl[name]:.1f}x",
                f"{most / torch[name]:.1f}x",
                f"{population / most:.0%}",
                f"{mine[f'{name} one compile']:.1f}",
            ]
        )
    columns = ["updates/s", "one seed", f"{SEEDS} seeds", "CORL", "torch loop", "d3rlpy"]
    columns += [f"{SEEDS} over {name}" for name in ("CORL", "torch loop", "d3rlpy")]
    columns += ["one over CORL", "most over torch loop", "share of the matrix rate", "compile s"]
    return "\n".join(
        [
            table(columns, rows),
            "",
            f"Updates of all seeds, without compilation. The most over the torch loop is what the products allow at "
            f"the matrix rate, {mine['matrix_rate'] / 1e9:.0f} GFLOP/s; the share of it is that of {SEEDS} seeds. Peak "
            f"memory: separatrix {mine['peak_mib']:.0f} MiB, CORL {corl['peak_mib']:.0f} MiB, torch loop "
            f"{torch['peak_mib']:.0f} MiB, d3rlpy {peer['peak_mib']:.0f} MiB.",
        ]
    )


if __name__ == "__main__":
    main(
        "Offline learners: updates a second",
        {"separatrix": ours, "CORL": corl_side, "torch": torch_side, "d3rlpy": d3rlpy_side},
        summarise,
    )
