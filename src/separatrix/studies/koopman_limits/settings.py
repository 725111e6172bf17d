"""What the study varies and holds fixed, at each preset."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Defaults are the card's scale; the finer grid of F1 is computed for the middle dictionary only."""

    seeds: int = 5
    # Duffing (F1): trajectories x steps, radial functions, spacing of the grid of candidates
    trajectories: int = 2_000
    steps: int = 5
    sizes: tuple[int, ...] = (50, 100, 200)
    spacing: float = 0.1
    finer: float = 0.05
    epsilon: float = 0.3
    # order of limits (F5)
    limit_size: int = 100
    limit_factors: tuple[int, ...] = (1, 2, 5, 10, 50)
    tower_sizes: tuple[int, ...] = (20, 60, 200)
    tower_samples: tuple[int, ...] = (20, 60, 200, 600, 2_000)
    # toral maps (F2)
    points: int = 20
    # torus (F3)
    lags: int = 3_000
    # Lorenz (F6, F7) and the certified flows
    samples: int = 10_000
    delays: int = 33
    rage_samples: int = 4_000
    rage_delays: tuple[int, ...] = (1, 2, 4, 10, 20)
    flow_delays: tuple[int, ...] = (10, 33, 66)


PRESETS = {
    "quick": Settings(
        seeds=2,
        trajectories=60,
        sizes=(10, 20),
        spacing=0.5,
        finer=0.25,
        limit_size=10,
        limit_factors=(1, 10),
        tower_sizes=(4, 40),
        tower_samples=(4, 40),
        points=3,
        lags=60,
        samples=300,
        delays=3,
        rage_samples=60,
        rage_delays=(1, 4),
        flow_delays=(2, 4),
    ),
    "default": Settings(),
    "thorough": Settings(),
    "full": Settings(trajectories=10_000, sizes=(100, 200, 500, 1_000), flow_delays=(33, 100, 166)),
}
