"""The tables and figures of the MTE paper (Dai, Liu, Yu and Fung, AACL 2020).

``python -m sk_mer.paper table1 --data FOLDER`` fits the systems, prints one table with the
published rows and trivial answers beside ours, and writes it as CSV, Markdown, LaTeX and a
figure. Stopped and started again, it goes on where it was. Without ``--data`` utterances
are generated and written in the files of CMU-MOSEI or IEMOCAP first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from joblib import parallel_config

from .._optional import import_optional
from ..labels.suggestions import look_up
from . import counting, figures, pages, sample, tables, words
from .cells import Cell, Store, computed
from .reading import (
    Corpus,
    hash_of,
    judged_labels,
    limited,
    read,
    with_unseen,
    with_words,
)
from .runs import Runner
from .systems import BASELINES, LINEAR, Settings, chosen, shown, with_vectors

__all__ = ["main"]

_WHAT = {
    **{name: spec.title for name, spec in tables.TABLES.items()},
    "table7": "Tables 7 and 8: utterances that show each emotion, and published ones",
    "figure3": "Figure 3: labels in the space of each modality",
    "figure4": "Figure 4: weighted accuracy and weighted F1 against the threshold",
    "figure5": "Figure 5: accuracy and weighted F1 against the threshold",
    "word_forms": "Section 6.2: forms of each emotion word, chosen on validation rows",
}
_OF_IEMOCAP = ("table2", "table5", "figure5")
_N_SEEDS, _N_SMALL = 3, 240
_TRIAL = (
    "A trial: few rows and two epochs show that everything runs; the scores say nothing "
    "about the systems."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the command line.

    Raises
    ------
    SystemExit
        With one sentence, if data or options do not fit.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.what == "sample-data":
            sample.write_mosei(options.folder / "mosei")
            sample.write_iemocap(options.folder / "iemocap")
            print(f"Wrote {options.folder / 'mosei'} and {options.folder / 'iemocap'}")
            return
        with _backend(options):
            table = _made(options)
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(str(error)) from error
    if options.small and options.what != "table7":
        table.notes.insert(0, _TRIAL)
    print(pages.text(table))
    written = pages.write(table, options.output, options.what)
    written += [path for path in [_drawn(options)] if path.exists()]
    print(f"Wrote {', '.join(path.name for path in written)} into {options.output}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sk_mer.paper", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, title in _WHAT.items():
        _add_options(commands.add_parser(name, help=title, description=title))
    made = commands.add_parser("sample-data", help="write generated corpora into a folder")
    made.add_argument("folder", type=Path)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=Path, help="folder or file of the corpus")
    add("--labels", type=Path, help="CMU_MOSEI_Labels.csd, if it does not lie there")
    add("--unseen-data", type=Path, help="folder with nine emotions, for table5")
    add("--vectors", type=Path, help="word vectors; by default glove* in or beside --data")
    add("--systems", default="", help="'all', 'none' or names: mte,lf_lstm")
    add(
        "--targets",
        default="",
        help="emotions that are unseen, or to draw in figure3: fear,surprise",
    )
    add("--seeds", type=int, help="fits of each system; 3, or 1 with --small")
    add("--settings", choices=("default", "published"), default="default")
    add("--raw", action="store_true", help="do not scale features, as the authors do not")
    add("--rows", type=int, help="at most so many training rows")
    add("--small", action="store_true", help="few rows and two epochs, to try it out")
    add("--jobs", type=int, default=1, help="fits that run side by side")
    add("--backend", help="of joblib: loky, multiprocessing, threading, dask")
    add("--scheduler", help="address of a dask cluster; by default one is started here")
    add("--output", type=Path, default=Path("paper_output"), help="folder to write to")


@contextmanager
def _backend(options: argparse.Namespace) -> Iterator[None]:
    """The backend of joblib that was asked for, with a dask client where it needs one."""
    for name in ("jobs", "seeds", "rows"):
        given = getattr(options, name)
        if given is not None and given < 1:
            raise ValueError(f"--{name} {given} was given; expected 1 or more.")
    if not options.backend:
        yield
    elif options.backend != "dask":
        with parallel_config(options.backend, n_jobs=options.jobs):
            yield
    else:
        dask = import_optional("distributed", "The backend 'dask'", "dask")
        local = {"n_workers": options.jobs, "threads_per_worker": 1}
        where = {"address": options.scheduler} if options.scheduler else local
        with dask.Client(**where), parallel_config("dask"):
            yield


def _made(options: argparse.Namespace) -> tables.Table:
    """The table of a command."""
    file = counting.label_file(options.data) if options.data else None
    if options.what == "table7" and file is not None:
        y, split, note = counting.read_label_file(file)
        return counting.count_table(y, split, file.name, [note])
    corpus = _corpus(options)
    if options.what == "table7":
        return counting.of_corpus(corpus)
    corpus = _fitting(corpus, options)
    if options.what == "figure3" and options.targets:
        corpus = with_words(corpus, _names(options.targets))
    n_seeds = options.seeds or (1 if options.small else _N_SEEDS)
    if options.what in tables.TABLES:
        return _table(options, corpus, n_seeds)
    names = chosen(options.systems, ("mte",))
    if options.what in figures.FIGURES:
        return _curves(options, corpus, names, n_seeds)
    used = with_vectors(names)
    made = _spaces if options.what == "figure3" else _word_forms
    table = made(options, corpus, used, n_seeds)
    others = [shown(name) for name in names if name not in (*used, *BASELINES)]
    if others:
        table.notes.append(
            f"Not in it, as they do not read the vectors of labels: {', '.join(others)}."
        )
    return table


def _computed(
    options: argparse.Namespace, corpus: Corpus, cells: Sequence[Cell]
) -> list[dict[str, Any]]:
    """The results of cells, kept in the folder of the output."""
    store = Store(options.output / "cells", hash_of(corpus))
    settings = Settings(options.settings == "published", options.small, not options.raw)
    runner = Runner(corpus, settings)
    n_rows = [int((corpus.split == part).sum()) for part in ("train", "valid", "test")]
    print(
        f"{corpus.name}: {n_rows[0]:,} training, {n_rows[1]:,} validation and "
        f"{n_rows[2]:,} test rows, {len(corpus.y.columns)} labels; {len(cells)} fits",
        file=sys.stderr,
    )
    n_jobs = options.jobs if options.backend != "dask" else -1
    return computed(cells, runner, runner.describe, store, n_jobs)


def _corpus(options: argparse.Namespace) -> Corpus:
    """What `--data` names, or a generated one."""
    folder = options.data
    if folder is None:
        iemocap = options.what in _OF_IEMOCAP
        folder = options.output / "sample" / ("iemocap" if iemocap else "mosei")
        if not folder.is_dir():
            half = folder.with_name(f"{folder.name}.part")  # a run may be stopped here too
            write = sample.write_iemocap if iemocap else sample.write_mosei
            write(half).rename(folder)
        print(f"No --data: {folder} holds generated utterances.", file=sys.stderr)
    print(f"Reading {folder}", file=sys.stderr)
    corpus = read(folder, labels=options.labels, vectors=options.vectors)
    if options.what != "table5":
        return corpus
    beside = folder / "nine"
    further = options.unseen_data or (beside if beside.is_dir() else None)
    return with_unseen(corpus, further, _names(options.targets))


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _fitting(corpus: Corpus, options: argparse.Namespace) -> Corpus:
    """Rows and labels of a run."""
    n_rows = options.rows or (_N_SMALL if options.small else None)
    return judged_labels(limited(corpus, n_rows))


def _table(options: argparse.Namespace, corpus: Corpus, n_seeds: int) -> tables.Table:
    spec = tables.TABLES[options.what]
    names = chosen(options.systems, spec.usual, spec.beside)
    targets: list[str] = []
    if spec.task in ("unseen", "appended"):
        given = _names(options.targets)
        targets = tables.targets_of(options.what, corpus, given, options.small)
    cells = tables.cells_of(options.what, corpus, names, n_seeds, targets)
    results = _computed(options, corpus, cells)
    return tables.put_together(options.what, corpus, names, targets, cells, results)


def _curves(
    options: argparse.Namespace, corpus: Corpus, names: list[str], n_seeds: int
) -> tables.Table:
    seeds = {name: 1 if name in BASELINES else n_seeds for name in names}
    cells = [Cell("curve", name, seed) for name in names for seed in range(seeds[name])]
    results = _computed(options, corpus, cells)
    table = figures.curve_table(options.what, corpus, cells, results)
    figures.draw_curves(options.what, table, _drawn(options))
    return table


def _spaces(
    options: argparse.Namespace, corpus: Corpus, names: list[str], n_seeds: int
) -> tables.Table:
    cells = [Cell("space", name, seed) for name in names for seed in range(n_seeds)]
    results = _computed(options, corpus, cells)
    table = figures.space_table(corpus, cells, results)
    figures.draw_spaces(results, _drawn(options))
    return table


def _drawn(options: argparse.Namespace) -> Path:
    options.output.mkdir(parents=True, exist_ok=True)
    return Path(options.output / f"{options.what}_drawn.svg")


def _word_forms(
    options: argparse.Namespace, corpus: Corpus, names: list[str], n_seeds: int
) -> tables.Table:
    """Each form alone, then the best ones together; the linear model reads no words."""
    forms = words.forms_of(corpus, options.small)
    known = {word for some in forms.values() for word in some}
    for word in corpus.words.values():
        known |= {word} if isinstance(word, str) else set(word)
    corpus = replace(corpus, source=look_up(corpus.source, sorted(known)))
    cells = words.word_cells(corpus, names, n_seeds, forms)
    results = _computed(options, corpus, cells)
    best = [
        Cell(
            "words", name, seed, words=words.best_forms(corpus, name, forms, cells, results)
        )
        for name in names
        for seed in range(n_seeds)
    ]
    further = [cell for cell in best if cell not in cells] + [Cell("words", LINEAR, 0)]
    results += _computed(options, corpus, further)
    both = [*cells, *further]
    return words.word_table(corpus, [*names, LINEAR], forms, both, results)
