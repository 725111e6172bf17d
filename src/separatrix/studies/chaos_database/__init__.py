"""Chaos as a benchmark for forecasting and data-driven modelling (Gilpin 2021).

Is a catalogue of chaotic systems sane, are its published exponents right, does chaos make series hard to forecast, do
regressions recover the laws, and do chaotic series teach models more than other data do?
"""

from separatrix.study.study import Study

from .figures import bands, error_against_chaos, gallery, published_ratio
from .findings import FINDINGS
from .forecasts import forecasts
from .invariants import audit, spectra
from .laws import laws
from .periods import periods
from .resampling import fixed, importance, uniform
from .settings import PRESETS
from .transfer import transfer

__all__ = ["STUDY"]

STUDY = Study(
    slug="chaos-database",
    seed=27,
    domain="dynamics",
    title="Chaos as an interpretable benchmark for forecasting and data-driven modelling",
    paper="arXiv:2110.05266",
    citation="""@inproceedings{gilpin2021chaos,
  title = {Chaos as an interpretable benchmark for forecasting and data-driven modelling},
  author = {Gilpin, William},
  booktitle = {NeurIPS Datasets and Benchmarks},
  year = {2021}
}""",
    question="Are the numbers of the database of chaotic systems right, and does chaos make learning hard?",
    method="""Spectra are checked by identities and the literature, published exponents against recomputed ones, periods
    against series. Methods forecast the end of series whose beginning they are fitted to, with variants chosen on other
    series. Sparse regression is given exact derivatives. Recurrent networks are trained on trajectories from where they
    err most, from anywhere, or on fixed data. Autoencoders of chaotic series give features for classification.""",
    presets=PRESETS,
    arms={
        "spectra": spectra,
        "audit": audit,
        "periods": periods,
        "forecasts": forecasts,
        "laws": laws,
        "importance": importance,
        "uniform": uniform,
        "fixed": fixed,
        "transfer": transfer,
    },
    findings=FINDINGS,
    figures={
        "Attractors of the systems that are forecast": gallery,
        "The best error of a system over how chaotic it is": error_against_chaos,
        "Forecasts of one system, and errors by method": bands,
        "Published exponents against recomputed ones": published_ratio,
    },
    remarks={
        "F1c": "Varied: the time of the average. Rossler's small exponent alone decides; its error is 1 to 6 % "
        "after 400 periods, and 0 to 3 %, 1 % in the mean of five seeds, after 1,600.",
        "F3a": "Varied: the length of the series. From 96 stored periods 0.67 to 0.75 of the systems agree, "
        "from 192 periods 0.75 to 0.92 (three seeds): systems with a broad spectrum (Lorenz, Thomas, WangSun) need "
        "that long. Aizawa stays at 0.69 of the stored period.",
        "F4a": "The order of N-BEATS and a small LSTM on twelve systems changes with the initial states.",
    },
    costs={
        "quick": "a minute",
        "default": "a minute",
        "thorough": "30 minutes",
        "full": "the paper's scale, days",
    },
)
