"""To grok or not to grok on corrupted labels (Doshi, Das, He, Gromov, ICLR 2024).

When a network both generalises and memorises wrong labels, do different neurons do the two, can the memorising ones be
told by their weights and removed, and what do weight decay, dropout and batch normalisation do to them?
"""

from separatrix.study.figures import curves
from separatrix.study.study import Study

from .batch_norm import batch_norm, minibatch
from .corrupted import clean_labels, decay_5, decay_15, decay_20, dropout, multiplication, plain
from .diagram import diagram_batch_norm, diagram_decay, diagram_dropout, diagram_plain
from .figures import REGULARISED, ipr_histogram, phase_map, pruning_curves
from .findings import FINDINGS
from .settings import PRESETS
from .transformers import transformer, transformer_corrupted

__all__ = ["STUDY"]

ARMS = {
    "clean-labels": clean_labels,
    "plain": plain,
    "decay-5": decay_5,
    "decay-15": decay_15,
    "decay-20": decay_20,
    "dropout": dropout,
    "batch-norm": batch_norm,
    "minibatch": minibatch,
    "diagram-plain": diagram_plain,
    "diagram-decay": diagram_decay,
    "diagram-dropout": diagram_dropout,
    "diagram-batch-norm": diagram_batch_norm,
    "multiplication": multiplication,
    "transformer": transformer,
    "transformer-corrupted": transformer_corrupted,
}

STUDY = Study(
    slug="grok-or-not-corrupted",
    seed=25,
    domain="training",
    title="To grok or not to grok on corrupted algorithmic datasets",
    paper="arXiv:2310.13061",
    citation="""@inproceedings{doshi2024grok,
  title = {To grok or not to grok: Disentangling generalization and memorization
           on corrupted algorithmic datasets},
  author = {Doshi, Darshil and Das, Aritra and He, Tianyu and Gromov, Andrey},
  booktitle = {International Conference on Learning Representations},
  year = {2024},
  note = {arXiv:2310.13061}
}""",
    question="Do different neurons generalise and memorise, and which of them do regularisers spare?",
    method="""A network of one hidden layer with quadratic activation learns addition modulo p, with a known part of
    its training labels redrawn at random. The inverse participation ratio of a neuron's Fourier spectrum tells how
    periodic its weights are; neurons are pruned in this order. Arms add weight decay, dropout or batch normalisation.
    Every full-batch arm sees the same data, corruption and initialisation for a seed, so effects are paired.""",
    presets=PRESETS,
    arms=ARMS,
    findings=FINDINGS,
    figures={
        "Accuracy on corrupted training labels": curves("corrupted_accuracy", arms=REGULARISED, x="log"),
        "Test accuracy": curves("test_accuracy", arms=REGULARISED, x="log"),
        "Accuracy on all training labels": curves("train_accuracy", arms=REGULARISED, x="log"),
        "Periodic neurons generalise, the others memorise": ipr_histogram,
        "Pruning by periodicity separates memorisation from generalisation": pruning_curves,
        "Phases over training fraction and corruption": phase_map,
    },
    remarks={
        "F2e": "How many neurons stay below is a matter of the seed: the quantile lies between 0.08 and 0.25 over five "
        "seeds (0.30 for the card's one), while the mean ratio gains between 0.33 and 0.34. In every seed it "
        "is above the 0.04 of neurons that are not periodic.",
    },
    costs={
        "quick": "half a minute",
        "default": "2 minutes",
        "thorough": "20 minutes",
        "full": "the paper's scale, for a GPU",
    },
)
