"""What the study varies and holds fixed, at each preset."""

from dataclasses import dataclass

import numpy as np

from separatrix.systems import catalogue

TWELVE = (
    *("Lorenz", "Rossler", "Chen", "Thomas", "Halvorsen", "SprottB"),
    *("Rucklidge", "Chua", "Dadras", "Sakarya", "WangSun", "Aizawa"),
)
TWENTY = (*TWELVE, "SprottA", "SprottD", "SprottG", "Hadley", "NoseHoover", "GenesioTesi", "Lorenz84", "ShimizuMorioka")
THIRTY = (*TWENTY, *(f"Sprott{c}" for c in "CEFHIJKLMN"))
QUADRATIC = ("Lorenz", "Chen", "Rucklidge", *(f"Sprott{c}" for c in "ABCDEFGHIJKLMNOPQRS"))
CARD_SETS = ("ArrowHead", "ItalyPowerDemand", "GunPoint", "BasicMotions")
PTS, DENSE, PERIODS, CYCLES, STRETCH = 15, 60, 70, 12, 32
LITERATURE = {"Lorenz": 0.9056, "Rossler": 0.0714, "Henon": 0.4192, "Logistic": np.log(2), "doubling": np.log(2)}


@dataclass(frozen=True)
class Settings:
    """Defaults fit into four minutes; what they leave out of the card was fixed before any run.

    Default: F1 on five flows and three maps (card: 30 flows); F3 on the twelve systems of the forecasts (30); F4 on
    twelve systems and five seeds, with one variant of each method (20 systems, tuned windows); F5's comparison of
    dictionaries on the twelve (all flows). Thorough: 30, 30, 20 systems with tuned windows and the other methods, all
    flows of three coordinates in F5; F6 with a single layer of 16 cells, a window of 25 and 6 passes a round (2 layers,
    50, 30); F7 with 2,000 windows and 20 passes (10,000 and 200), and 26 features of ours for tsfresh's.
    """

    seeds: int = 5
    flows: tuple[str, ...] = ("Lorenz", "Rossler", "Rucklidge", "SprottB", "Chen")
    exponent_periods: float = 400
    audited: tuple[str, ...] = ("Lorenz", "Rossler", "Chua", "SprottMore", "Rucklidge", "Halvorsen")
    audit_periods: float = 60
    systems: tuple[str, ...] = TWELVE
    length: int = PERIODS
    windows: tuple[int, ...] = (PTS,)
    steps: int = 400
    more_methods: bool = False
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
    archive: str = ""


THREE = tuple(catalogue("ode").query("dimension == 3").name)
EVERY = tuple(catalogue("ode").name)
AUTONOMOUS = tuple(catalogue("ode").query("not nonautonomous").name)
PRESETS = {
    "quick": Settings(
        seeds=2,
        flows=("Lorenz", "SprottB"),
        exponent_periods=2,
        audited=("Lorenz",),
        audit_periods=1,
        systems=("Lorenz", "SprottB"),
        length=24,
        windows=(5,),
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
    ),
    "default": Settings(),
    "thorough": Settings(
        flows=THIRTY, systems=TWENTY, windows=(5, 10, 25), more_methods=True, laws=THREE, audited=THIRTY
    ),
    "full": Settings(
        flows=AUTONOMOUS,
        systems=EVERY,
        windows=(5, 10, 25, 50),
        steps=2_000,
        more_methods=True,
        laws=EVERY,
        audited=EVERY,
        audit_periods=200,
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
