"""scikit-learn's callback protocol (1.9 and later), and its absence before."""

from __future__ import annotations

from typing import Any

__all__ = ["CallbackSupportMixin"]

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9: skorch's own callbacks still show progress

    class _NoContext:
        """Takes every call of a callback context and does nothing."""

        def subcontext(self, **kwargs: Any) -> _NoContext:
            return self

        def call_on_fit_task_begin(self, **kwargs: Any) -> None:
            return None

        def call_on_fit_task_end(self, **kwargs: Any) -> bool:
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in for scikit-learn's mixin."""

        def _init_callback_context(self, **kwargs: Any) -> _NoContext:
            return _NoContext()
