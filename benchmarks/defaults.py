"""The defaults of MTE beside its published settings, on training rows of real sets.

Test rows are never read: the training rows of the first fold are split once more, by
speaker or video where there are any.

    python benchmarks/defaults.py --data FOLDER        # or SK_MER_DATA
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from judging import LINEAR, parser, results, table
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from studies import STUDIES, Study

from sk_mer import MTEClassifier, PooledLinearClassifier
from sk_mer.preprocessing import MultimodalScaler

N_ROWS = 1500  # at most


def inner(study: Study) -> Study:
    """Training rows alone, with one split of them."""
    train = study.folds[0][0]
    rows = np.sort(np.random.RandomState(0).permutation(train)[:N_ROWS])
    X, y = study.X[rows], study.y.iloc[rows]
    groups = np.arange(len(rows)) if X.groups is None else X.groups
    folds = list(GroupKFold(3).split(X, groups=groups))[:1]
    return study._replace(X=X, y=y, folds=folds)


def candidates(study: Study) -> dict[str, Any]:
    """The defaults, each preset, and the linear model."""
    fixed = {"label_vectors": study.vectors, "modalities": list(study.modalities)}
    models = {"defaults": MTEClassifier(**fixed)}
    for preset in MTEClassifier._presets:
        models[preset] = MTEClassifier.from_preset(preset, **fixed)
    scaled = {
        name: make_pipeline(MultimodalScaler(), model) for name, model in models.items()
    }
    return {**scaled, LINEAR: PooledLinearClassifier(modalities=fixed["modalities"])}


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--studies", nargs="+", choices=list(STUDIES), default=[*STUDIES])
    arguments = options.parse_args()
    if not arguments.data:
        options.error("--data is needed: a folder with ravdess/, mosi/ or goemotions/.")
    for name in arguments.studies:
        study = inner(STUDIES[name](Path(arguments.data)))
        found = results(
            study, candidates(study), arguments.seeds, arguments.jobs, arguments.cache
        )
        shown = table(found, study)
        print(f"\n{name}, {arguments.seeds} seeds\n{shown.to_string()}")
        if arguments.output:
            arguments.output.mkdir(parents=True, exist_ok=True)
            shown.to_csv(arguments.output / f"defaults_{name}.csv")


if __name__ == "__main__":
    main()
