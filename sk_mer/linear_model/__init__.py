"""Linear models of pooled utterances: the baselines that a deep system must beat.

Each modality is summed up over its steps, scaled, and read by scikit-learn's logistic or
ridge regression. They fit in seconds and need no torch, except for their files.
"""

from ._classifier import PooledLinearClassifier
from ._regressor import PooledLinearRegressor

__all__ = ["PooledLinearClassifier", "PooledLinearRegressor"]
