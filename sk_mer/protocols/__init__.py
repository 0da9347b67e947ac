"""Which rows train, which choose and which are judged, as published papers have it.

What yields pairs of training and test rows is given as ``cv=`` to scikit-learn's tools.
"""

from ._appended import AppendedLabels, append_labels
from ._few_shot import FewShotSplit
from ._left_out import LeaveOneLabelOut
from ._missing import MissingModalities
from ._official import OfficialSplit, ProtocolFold

__all__ = [
    "AppendedLabels",
    "FewShotSplit",
    "LeaveOneLabelOut",
    "MissingModalities",
    "OfficialSplit",
    "ProtocolFold",
    "append_labels",
]
