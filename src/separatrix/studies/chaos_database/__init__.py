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
        "Attractors of some systems": gallery,
        "The best error of a system over how chaotic it is": error_against_chaos,
        "Forecasts of one system, and errors by method": bands,
        "Published exponents against recomputed ones": published_ratio,
    },
    revision=2,
    remarks={
        **dict.fromkeys(
            ("F2a", "F2b"),
            "Every seed reads the one shipped table, so the interval has no width. All flows count whose published and "
            "own exponents are both positive; some of ours are within their errors of zero.",
        ),
        "F3a": "A period is the median of 20 stretches of 32 stored periods, as the published ones are. Single "
        "stretches of systems with a broad spectrum (Lorenz, SprottB, Rucklidge, Thomas) differ by 30 %.",
        "F4a": "The order of N-BEATS and a small LSTM on twelve systems changes with the initial states.",
    },
    costs={
        "quick": "a minute",
        "default": "3 minutes",
        "thorough": "an hour",
        "full": "the paper's scale, days",
    },
)
