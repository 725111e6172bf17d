"""What each preset runs."""

from dataclasses import dataclass

__all__ = ["PRESETS", "FullSettings", "Settings"]


@dataclass(frozen=True)
class Settings:
    """The card's protocol on the pendulum: 64 x 2 networks, 4,000 model transitions a generation for every horizon.

    The data are those of one own agent, the same for all seeds; seeds are those of the learners. `default` has the arms
    that decide the main claims. What its four minutes do not hold is in `thorough`: 20,000 updates, the grid of data,
    horizon, critics and dynamics, and models between random and true.
    """

    seeds: int = 5
    # data
    collect_steps: int = 8_000
    collect_every: int = 500
    warmup: int = 500
    episodes: int = 50
    # learners
    updates: int = 8_000
    long_updates: int = 20_000
    every: int = 250
    rows: int = 4_000
    short: int = 1
    middle: int = 5
    long: int = 40
    ensemble: int = 10
    hidden: int = 64
    batch: int = 128
    rate: float = 1e-3
    temperature: float = 0.2
    evaluations: int = 10
    # truth
    grid: int = 121
    map: int = 41
    observed: int = 500
    edge_rows: int = 4_096
    shown: int = 1_000
    # the learned model
    model_epochs: int = 115  # about 4,000 updates
    penalty: float = 10.0


@dataclass(frozen=True)
class FullSettings(Settings):
    """The MuJoCo tasks beside it, at the paper's sizes but for the length: our own data, the simulator as the model.

    A generation of 50,000 rows costs a core 10 to 20 seconds of simulation, whatever the accelerator.
    """

    host_collect_steps: int = 300_000
    host_collect_every: int = 10_000
    host_episodes: int = 50
    host_updates: int = 200_000
    host_every: int = 5_000
    host_rows: int = 50_000
    host_horizon: int = 5
    host_hidden: tuple[int, ...] = (256, 256, 256)
    host_model_hidden: tuple[int, ...] = (200, 200, 200, 200)
    host_model_epochs: int = 100
    host_batch: int = 256
    host_rate: float = 3e-4
    host_penalty: float = 1.0
    host_evaluations: int = 10


PRESETS = {
    "quick": Settings(
        seeds=2,
        collect_steps=24,
        collect_every=8,
        warmup=8,
        episodes=2,
        updates=8,
        long_updates=8,
        every=4,
        rows=16,
        middle=1,
        long=1,
        ensemble=2,
        hidden=8,
        batch=8,
        evaluations=2,
        grid=31,
        map=5,
        observed=20,
        edge_rows=64,
        shown=20,
        model_epochs=2,
    ),
    "default": Settings(),
    "thorough": Settings(),
    "full": FullSettings(seeds=10, updates=20_000, long_updates=40_000),
}
