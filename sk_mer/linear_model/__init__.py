"""Linear models of pooled utterances: the baselines that a deep system must beat.

Each modality is summed up over its steps, scaled, and read by scikit-learn's logistic or
ridge regression. They fit in seconds and need no torch, except for their files. ESZSL maps
the same statistics to word vectors, for emotions never trained on.
"""

from ._classifier import PooledLinearClassifier
from ._eszsl import ESZSLClassifier
from ._regressor import PooledLinearRegressor

__all__ = ["ESZSLClassifier", "PooledLinearClassifier", "PooledLinearRegressor"]
