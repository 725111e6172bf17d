"""What the study varies and holds fixed, at each preset."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from separatrix.systems import catalogue

TWELVE = (
    *("Lorenz", "Rossler", "Chen", "Thomas", "Halvorsen", "SprottB"),
    *("Rucklidge", "Chua", "Dadras", "Sakarya", "WangSun", "Aizawa"),
)
TWENTY = (*TWELVE, "SprottA", "SprottD", "SprottG", "Hadley", "NoseHoover", "GenesioTesi", "Lorenz84", "ShimizuMorioka")
THIRTY = (*TWENTY, *(f"Sprott{c}" for c in "CEFHIJKLMN"))
LASTING = (*(n for n in THIRTY if n != "Sakarya"), "SprottO")  # orbits of Sakarya escape before an average is long
QUADRATIC = ("Lorenz", "Chen", "Rucklidge", *(f"Sprott{c}" for c in "ABCDEFGHIJKLMNOPQRS"))
CARD_SETS = ("digits", "ArrowHead", "ItalyPowerDemand", "GunPoint", "BasicMotions")
PTS, DENSE, PERIODS, CYCLES, STRETCH = 15, 60, 70, 12, 32
LITERATURE = {"Lorenz": 0.9056, "Rossler": 0.0714, "Henon": 0.4192, "Logistic": np.log(2), "doubling": np.log(2)}


@dataclass(frozen=True)
class Settings:
    """Defaults fit into four minutes; what they leave out of the card was fixed before any run.

    Default: F1 on five flows and three maps (card: 30 flows); F3 on the twelve systems of the forecasts (30); F4 on
    twelve systems and five seeds, with one variant of each method (20 systems, tuned windows); F5's comparison of
    dictionaries on the twelve (all flows). Thorough: 30, 30, 20 systems with tuned windows and lags and the other
    methods, all flows of three coordinates in F5; F6 with a single layer of 16 cells, a window of 25 and 6 passes a
    round (2 layers, 50, 30); F7 with 2,000 windows and 20 passes (10,000 and 200), and 26 features of ours for
    tsfresh's. Full: the card's grid of windows and lags at 15 points a period, and Prophet.

    Attributes:
        literature_periods: of the averages that are compared with the literature.
        stretches: series of 32 stored periods in one estimate of a period.
        windows: that networks look at.
        lags: of regressions.
        chunks: samples that networks add at once.
        sets: classification sets; all but the digits come with the extra `series`.
        archive: folder with a folder for each set, in the formats of UCR, to use all of them instead.
    """

    seeds: int = 5
    flows: tuple[str, ...] = ("Lorenz", "Rossler", "Rucklidge", "SprottB", "Chen")
    exponent_periods: float = 400
    literature_periods: float = 4_000
    timed: tuple[str, ...] = TWELVE
    stretches: int = 20
    systems: tuple[str, ...] = TWELVE
    length: int = PERIODS
    windows: tuple[int, ...] = (PTS,)
    lags: tuple[int, ...] = (PTS,)
    chunks: tuple[int, ...] = (1,)
    steps: int = 400
    more_methods: bool = False
    prophet: bool = False
    quadratic: tuple[str, ...] = QUADRATIC
    laws: tuple[str, ...] = TWELVE
    resampled: tuple[str, ...] = TWELVE[:10]
    cells: int = 16
    layers: int = 1
    resample_window: int = 25
    epochs: int = 6
    reference: int = 1_000
    ahead: int = 200
    surrogates: tuple[str, ...] = TWENTY
    surrogate_points: int = 1_000
    code_windows: int = 2_000
    code_epochs: int = 20
    sets: tuple[str, ...] = CARD_SETS
    archive: str = ""

    def __post_init__(self):
        if self.archive and not archived(self.archive):
            raise ValueError(f"`archive` must name a folder that holds a folder for each set; got {self.archive}.")


def archived(archive: str) -> list[Path]:
    """Folders of an archive."""
    return sorted(p for p in Path(archive).glob("*") if p.is_dir())


THREE = tuple(catalogue("ode").query("dimension == 3").name)
EVERY = tuple(catalogue("ode").name)
AUTONOMOUS = tuple(catalogue("ode").query("not nonautonomous").name)
PRESETS = {
    "quick": Settings(
        seeds=2,
        flows=("Lorenz", "SprottB"),
        exponent_periods=2,
        literature_periods=2,
        timed=("Lorenz", "SprottB"),
        stretches=2,
        systems=("Lorenz", "SprottB"),
        length=24,
        windows=(5,),
        lags=(5,),
        steps=3,
        quadratic=("Lorenz",),
        laws=("Lorenz", "SprottB"),
        resampled=("Lorenz",),
        cells=3,
        resample_window=5,
        epochs=1,
        reference=120,
        ahead=10,
        surrogates=("Lorenz", "SprottB"),
        surrogate_points=150,
        code_windows=64,
        code_epochs=1,
        sets=("digits",),
    ),
    "default": Settings(),
    "thorough": Settings(
        flows=LASTING,
        timed=THIRTY,
        systems=TWENTY,
        windows=(5, 10, 15),
        lags=(3, 5, 10, 15),
        more_methods=True,
        laws=THREE,
    ),
    "full": Settings(
        flows=AUTONOMOUS,
        timed=EVERY,
        systems=EVERY,
        windows=(3, 5, 7, 10, 15),  # 5 and 10 samples; a quarter, a half and a whole period
        lags=(3, 5, 7, 10, 15, 22),  # and one and a half
        chunks=(1, 4),
        steps=2_000,
        more_methods=True,
        prophet=True,
        laws=EVERY,
        resampled=EVERY,
        cells=25,
        layers=2,
        resample_window=50,
        epochs=30,
        surrogates=EVERY,
        code_windows=10_000,
        code_epochs=200,
    ),
}
