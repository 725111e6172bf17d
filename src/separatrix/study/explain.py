"""A study in words: what the paper claims, how it is tested, how to cite it."""

import inspect
import textwrap

from .finding import PRESETS
from .study import Study

__all__ = ["explain"]


def explain(study: Study) -> str:
    """Describe a study as plain text.

    Args:
        study: the study.

    Returns:
        Lines of at most 100 characters.
    """
    fill = lambda text, indent="": textwrap.fill(  # noqa: E731
        " ".join(text.split()), 100, initial_indent=indent, subsequent_indent=indent
    )
    heading = f"{study.slug} — {study.title} ({study.paper})"
    lines = [fill(heading), "", fill(study.question), "", fill(study.method), "", "Arms"]
    for name, arm in study.arms.items():
        doc = (inspect.getdoc(arm) or "").strip().split("\n\n")[0]
        lines.append(fill(f"{name}: {doc}", "  "))
    lines += ["", "Findings (the interval of the mean effect over seeds must lie in the expected region)"]
    for finding in study.findings:
        kind = "control, " if finding.control else ""
        lines.append(fill(f"{finding.id}: {finding.claim}", "  "))
        published = "not stated" if finding.published is None else finding.published
        lines.append(
            fill(
                f"expect {finding.expect}; published: {published}; {kind}from preset {finding.since}; {finding.source}",
                "      ",
            )
        )
        if finding.id in study.remarks:
            lines.append(fill(study.remarks[finding.id], "      "))
    lines += ["", "Presets"]
    lines += [fill(f"{preset}: {study.costs.get(preset, '')}", "  ") for preset in PRESETS]
    lines += ["", "Cite", textwrap.indent(study.citation.strip(), "  ")]
    return "\n".join(lines)
