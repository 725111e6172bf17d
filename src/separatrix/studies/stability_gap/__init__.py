"""The stability gap (De Lange, van de Ven, Tuytelaars, ICLR 2023).

Does the accuracy on old tasks collapse for a few updates after every switch of task and come back, under every family
of methods, so that evaluating at the ends of tasks alone hides it?
"""

from separatrix.study.figures import curves
from separatrix.study.study import Regime, Study

from .figures import around_switch, depth_and_recovery, seen_minimum
from .findings import ANGLES, FINDINGS, REMARKS, forgets
from .five_tasks import er, er_task_incremental, finetuning
from .images import IMAGE_ARMS
from .mnist_row import FASHION_ARMS, MNIST_ARMS
from .settings import OLD, PRESETS, FullSettings, Settings
from .two_tasks import er_15, er_30, er_60, er_90, er_mechanism, ewc_60, gem_60, lwf_60

__all__ = ["STUDY"]


def points_of(s: Settings, arm: str):
    """Leave the arms on images out of all presets but `full`, and where there are no files of a user's."""
    from_folder = arm in IMAGE_ARMS or arm in MNIST_ARMS
    data = s.data if isinstance(s, FullSettings) else None
    left_out = (from_folder and not data) or (arm in FASHION_ARMS and data is None)
    return {"seeds": ()} if left_out else {}


STUDY = Study(
    slug="stability-gap",
    seed=4,
    domain="continual",
    title="Continual evaluation for lifelong learning: Identifying the stability gap",
    paper="arXiv:2205.13452",
    citation="""@inproceedings{delange2023stability,
  title = {Continual evaluation for lifelong learning: Identifying the stability gap},
  author = {De Lange, Matthias and van de Ven, Gido M. and Tuytelaars, Tinne},
  booktitle = {International Conference on Learning Representations},
  year = {2023},
  note = {arXiv:2205.13452}
}""",
    question="Does the accuracy on old tasks collapse and come back after every switch of task, unseen at task ends?",
    method="""Small networks learn digits class by class, or one rotation after another, with replay, EWC, LwF, GEM or
    nothing. Every task is evaluated after every update, on a fixed set, inside the compiled run. The gradient is split
    into what the new batch asks for and what holds the old task. A seed has the same initialisation and batches in
    every arm of a stream.""",
    presets=PRESETS,
    arms={
        "er": er,
        "finetune": finetuning,
        "er-task-incremental": er_task_incremental,
        "er-15": er_15,
        "er-30": er_30,
        "er-60": er_60,
        "er-90": er_90,
        "ewc-60": ewc_60,
        "lwf-60": lwf_60,
        "gem-60": gem_60,
        "er-mechanism": er_mechanism,
        **FASHION_ARMS,
        **MNIST_ARMS,
        **IMAGE_ARMS,
    },
    grid=points_of,
    findings=FINDINGS,
    figures={
        "First task of five around the first switch": around_switch(["er", "er-task-incremental", "finetune"]),
        "The more the second task is rotated, the deeper the gap": around_switch(list(ANGLES)),
        "Every family of methods has the gap": around_switch(["er-60", "ewc-60", "lwf-60", "gem-60"]),
        "First task over five tasks": curves("accuracy", arms=["er", "finetune"], select={"task": OLD}),
        "Stability gradient after the switch": curves("norm_stability", arms=["er-mechanism", "ewc-60", "lwf-60"]),
        "Least accuracy that an evaluation every so many updates sees": seen_minimum("er"),
        "Depth and recovery of every family of methods": depth_and_recovery(["er-60", "ewc-60", "lwf-60", "gem-60"]),
    },
    costs={
        "quick": "a minute",
        "default": "a minute",
        "thorough": "a minute",
        "full": "an hour on two cores, with the files of Fashion-MNIST; a day on a GPU with `--set data=FOLDER`",
    },
    traced=("rate", "momentum", "lam", "ewc_strength", "lwf_strength", "gem_margin"),
    regimes={
        "forgets": Regime("with EWC the first task ends a tenth below where it was learnt", "ewc-60", forgets),
        "lwf-forgets": Regime("with LwF the first task ends a tenth below where it was learnt", "lwf-60", forgets),
        "replay-forgets": Regime("with replay the first of five tasks ends a tenth below", "er", forgets),
    },
    remarks=REMARKS,
)
