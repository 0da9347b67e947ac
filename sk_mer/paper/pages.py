"""Tables as files: CSV, Markdown, LaTeX and a figure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from .._optional import import_optional
from .tables import COSTS, TRIVIAL, Table

__all__ = ["latex", "markdown", "text", "write"]

_TEX = {"\\": r"\textbackslash{}", "%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#"}
_TEX |= {"±": r"$\pm$"}
_MOST_LABELS = 10


def text(table: Table) -> str:
    """The table for a terminal, without single labels where there are many."""
    frame, notes = table.shown, table.notes
    labels = [name for name in frame if name not in ("mean", *COSTS)]
    if len(labels) > _MOST_LABELS and "mean" in frame:
        frame = frame.drop(columns=labels)
        notes = [*notes, f"The {len(labels)} labels one by one are in the files."]
    return "\n".join([table.title, frame.to_string(), *notes])


def markdown(table: Table) -> str:
    """The table as GitHub shows it."""
    frame = table.shown
    head = [str(frame.index.name), *map(str, frame.columns)]
    rows = [
        [str(name).strip(), *row]
        for name, row in zip(frame.index, frame.to_numpy(), strict=True)
    ]
    lines = [head, ["---"] * len(head), *rows]
    body = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join(
        [f"**{table.title}**", "", *body, "", *map("- {}".format, table.notes)]
    )


def latex(table: Table) -> str:
    """The table for a paper; nothing but plain LaTeX is needed."""
    frame = table.shown
    head = [str(frame.index.name), *map(str, frame.columns)]
    rows = [
        [str(name), *row] for name, row in zip(frame.index, frame.to_numpy(), strict=True)
    ]
    body = [" & ".join(map(_escaped, row)) + r" \\" for row in rows]
    notes = [f"% {note}" for note in table.notes]
    return "\n".join(
        [
            f"% {table.title}",
            *notes,
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\hline",
            " & ".join(map(_escaped, head)) + r" \\",
            r"\hline",
            *body,
            r"\hline",
            r"\end{tabular}",
        ]
    )


def _escaped(value: object) -> str:
    plain = str(value).strip()
    return re.sub(r"[\\%&_#±]", lambda found: _TEX[found[0]], plain)


def write(table: Table, folder: Path, name: str) -> list[Path]:
    """Write a table in all forms.

    Parameters
    ----------
    table : Table
        What.
    folder : path
        Where; made if it is not there.
    name : str
        Of the files, without their endings.

    Returns
    -------
    list of path
        What was written. There is no figure without matplotlib.
    """
    folder.mkdir(parents=True, exist_ok=True)
    forms: dict[str, Callable[[], str]] = {
        ".md": lambda: markdown(table),
        ".tex": lambda: latex(table),
        ".txt": lambda: text(table),
    }
    for ending, made in forms.items():
        (folder / f"{name}{ending}").write_text(made() + "\n", encoding="utf-8")
    frame = table.shown.set_axis([str(key).strip() for key in table.shown.index])
    frame.rename_axis(str(table.shown.index.name)).to_csv(folder / f"{name}.csv")
    table.values.to_csv(folder / f"{name}_values.csv", index=False)
    written = [folder / f"{name}{end}" for end in (".csv", "_values.csv", *forms)]
    try:
        written.append(_draw(table, folder / f"{name}.svg"))
    except ImportError as error:
        print(f"No figure: {error}")
    return written


def _draw(table: Table, path: Path) -> Path:
    """The first score of the last column of scores, a dot a row."""
    figures = import_optional("matplotlib.figure", "Drawing", "plot")
    columns = [name for name in table.shown if name not in COSTS]
    used = ["mean"] if "mean" in columns else columns
    rows = table.shown[~table.shown.index.isin(TRIVIAL.values())]
    figure = figures.Figure(
        figsize=(1 + 3 * len(used), 1.2 + 0.22 * len(rows)), layout="constrained"
    )
    axes = np.atleast_1d(figure.subplots(1, len(used), sharey=True))
    for axis, column in zip(axes, used, strict=True):
        _dots(axis, rows[column])
        axis.set(xlabel=f"{column}, {str(table.shown.index.name).split(' / ')[0]}, %")
    axes[0].set_yticks(range(len(rows)), [str(name).strip() for name in rows.index])
    axes[0].invert_yaxis()
    figure.savefig(path)
    return path


def _dots(axis: object, column: pd.Series) -> None:
    first = column.astype(str).str.split(" / ").str[0].str.split(" ± ")
    mean = pd.to_numeric(first.str[0], errors="coerce").to_numpy()
    spread = pd.to_numeric(first.str[1], errors="coerce").fillna(0).to_numpy()
    paper = column.index.str.contains("published: ")
    place = np.arange(len(column))
    for chosen, marker, color in ((~paper, "o", "C0"), (paper, "D", "C1")):
        axis.errorbar(  # type: ignore[attr-defined]
            mean[chosen],
            place[chosen],
            xerr=spread[chosen],
            fmt=marker,
            color=color,
            fillstyle="full" if marker == "o" else "none",
        )
    axis.spines[["top", "right"]].set_visible(False)  # type: ignore[attr-defined]
