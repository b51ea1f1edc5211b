"""Figures as Prometheus reads them: its text format 0.0.4, two lines and the values of each family."""

from collections.abc import Iterable

from hub.service.metrics import Family

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def exposition(families: Iterable[Family]) -> str:
    lines = []
    for family in families:
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        for labels, value in family.values:
            named = ",".join(f'{name}="{text.translate(_ESCAPED)}"' for name, text in labels.items())
            lines.append(f"{family.name}{{{named}}} {value:.10g}" if named else f"{family.name} {value:.10g}")
    return "\n".join(lines) + "\n"
