"""Limits and powers of Koopman learning (Colbrook, Mezic, Stepanenko 2024).

Do eigenvalues of finite matrices fitted to snapshots lie near the spectrum of Koopman's operator, do certificates tell
which do, and are there systems on which no algorithm can be right?
"""

from separatrix.study.study import Study

from .adversaries import disc, toral_maps, torus_golden, torus_rational
from .attractors import (
    lorenz_edmd,
    lorenz_mpedmd,
    lorenz_verified,
    rage_lorenz,
    rage_noise,
    rage_tones,
    rossler_verified,
)
from .duffing import edmd, edmd_filtered, verified
from .figures import certificates, contours, rage_figure, running_means, unitary_figure, wrong_order
from .findings import FINDINGS, REMARKS
from .limit_order import limit_order, tower
from .settings import PRESETS

__all__ = ["STUDY"]

STUDY = Study(
    slug="koopman-limits",
    seed=7,
    domain="dynamics",
    title="Limits and Powers of Koopman Learning",
    paper="arXiv:2407.06312",
    citation="""@article{colbrook2024limits,
  title = {Limits and Powers of {K}oopman Learning},
  author = {Colbrook, Matthew J. and Mezi{\\'c}, Igor and Stepanenko, Alexei},
  journal = {arXiv preprint arXiv:2407.06312},
  year = {2024}
}""",
    question="Which spectral statements about a system can data certify, and which can no algorithm reach?",
    method="""EDMD, EDMD with a filter and the verified spectrum are compared on Duffing's oscillator with residuals on
    fresh snapshots. Maps of the torus with known pseudospectra check the arithmetic. Adversaries on the disc and the
    torus agree with the data and disagree in their spectra. The order of limits, the measure-preserving variant and the
    RAGE means of tones, chaos and noise are tested on the same footing.""",
    presets=PRESETS,
    arms={
        "edmd": edmd,
        "edmd-filtered": edmd_filtered,
        "verified": verified,
        "toral-maps": toral_maps,
        "torus-rational": torus_rational,
        "torus-golden": torus_golden,
        "disc": disc,
        "limit-order": limit_order,
        "tower": tower,
        "lorenz-edmd": lorenz_edmd,
        "lorenz-mpedmd": lorenz_mpedmd,
        "lorenz-verified": lorenz_verified,
        "rossler-verified": rossler_verified,
        "rage-tones": rage_tones,
        "rage-lorenz": rage_lorenz,
        "rage-noise": rage_noise,
    },
    findings=FINDINGS,
    figures={
        "Pseudospectrum of Duffing's oscillator: eigenvalues of EDMD, mostly artefacts, and verified points": contours,
        "Residuals over the size of the dictionary": certificates,
        "Two maps of the torus that data cannot tell: running means of squared correlations": running_means,
        "Limits in the wrong order: a residual that certifies everything": wrong_order,
        "RAGE: tones stay in few dimensions, chaos leaves them": rage_figure,
        "EDMD damps what mpEDMD conserves": unitary_figure,
    },
    remarks=REMARKS,
    costs={
        "quick": "half a minute",
        "default": "a minute",
        "thorough": "3 minutes",
        "full": "the paper's scale, an hour",
    },
)
