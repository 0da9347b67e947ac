"""The engine on a GPU beside the public way on the same one; run by ``engine.py --device``.

    python benchmarks/engine.py --device cuda --output docs/results
    python benchmarks/engine.py --device cpu --rows 256   # whether it runs at all

The literal way is that of ``baseline.py``: a batch is sent when it is its turn. Both have
one epoch to warm up. Figures of ``fp32`` are without TF32, for both.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import torch
from baseline import Baseline, BaselineMTE
from engine import SETTINGS, classifier, draw, padded
from skorch.callbacks import Callback
from torch import Tensor, nn

# As many as the authors trained, and epochs that are timed.
PUBLISHED, TIMED = 15, 3
ROUTES = ("literal", "fp32", "bf16")
MEASURES = {
    "epoch": "epoch with validation, seconds",
    "ratio": "times as fast as the literal way",
    "busy": "share of an epoch in which the device is busy",
    "published": f"whole training of {PUBLISHED} epochs, seconds",
    "peak": "peak memory of the device, GB",
}


class _Sent(nn.Module):
    """A model that is sent each batch."""

    def __init__(self, model: nn.Module, device: str) -> None:
        super().__init__()
        self.inner, self.device = model.to(device), device

    def forward(self, sequences: list[Tensor], lengths: Tensor) -> Tensor:
        return self.inner([steps.to(self.device) for steps in sequences], lengths)


class _Beside(nn.Module):
    """A loss that fetches the targets to where the answers are."""

    def __init__(self, loss: nn.Module, device: str) -> None:
        super().__init__()
        self.inner = loss.to(device)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.inner(z, y.to(z.device))


class DeviceBaseline(Baseline):
    """The public loop, with its model on a device."""

    def __init__(self, batch_size: int, device: str) -> None:
        super().__init__(_Sent(BaselineMTE(torch.randn(6, 300)), device), batch_size)
        self.loss = _Beside(self.loss, device)

    def _score(self, z: Tensor, y: Tensor) -> float:
        return super()._score(z.cpu(), y.cpu())


def _begin(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def _peak(device: str) -> float:
    if torch.device(device).type != "cuda":
        return float("nan")
    return torch.cuda.max_memory_allocated() / 2**30


def literal(setting: str, device: str, rows: int | None) -> dict[str, float]:
    """Seconds of an epoch of the public way."""
    window, batch_size, *sizes = SETTINGS[setting]
    train, valid = (
        padded(*draw(rows or n, window, seed), window) for seed, n in enumerate(sizes[:2])
    )
    loop = DeviceBaseline(batch_size, device)
    _begin(device)
    loop.epoch(train, valid)
    seconds = [loop.epoch(train, valid)[1] for _ in range(TIMED)]
    return {"epoch": statistics.median(seconds), "peak": _peak(device)}


class _Epochs(Callback):
    """Seconds of each epoch, and the share of the last one that kernels took."""

    def __init__(self, profiled: bool) -> None:
        self.profiled = profiled
        self.seconds: list[float] = []
        self.busy = float("nan")

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        last = len(net.history) == net.max_epochs
        self.profile_ = None
        if self.profiled and last:
            self.profile_ = torch.profiler.profile(
                activities=[torch.profiler.ProfilerActivity.CUDA]
            )
            self.profile_.start()
        self.start_ = time.perf_counter()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.seconds.append(time.perf_counter() - self.start_)
        if self.profile_ is not None:
            self.profile_.stop()
            kernels = self.profile_.key_averages()
            taken = sum(kernel.self_device_time_total for kernel in kernels) / 1e6
            self.busy = taken / self.seconds[-1]


def ours(route: str, setting: str, device: str, rows: int | None) -> dict[str, float]:
    """Seconds of an epoch and of a whole training of MTEClassifier."""
    window, batch_size, *sizes = SETTINGS[setting]
    train, valid = (draw(rows or n, window, seed) for seed, n in enumerate(sizes[:2]))
    clock = _Epochs(torch.device(device).type == "cuda")
    model = classifier(
        route, batch_size, device=device, patience=None, net_params={"callbacks": [clock]}
    )
    _begin(device)
    model.set_params(max_epochs=TIMED + 2)
    model.fit(*train, X_val=valid[0], y_val=valid[1])
    seconds = clock.seconds[1:-1]  # without the first, and the one under the profiler
    busy, peak = clock.busy, _peak(device)
    model.set_params(max_epochs=PUBLISHED, net_params=None)
    start = time.perf_counter()
    model.fit(*train, X_val=valid[0], y_val=valid[1])
    return {
        "epoch": statistics.median(seconds),
        "busy": busy,
        "published": time.perf_counter() - start,
        "peak": peak,
    }


def _shown(found: dict[str, float], measure: str) -> str:
    return f"{found[measure]:.3g}" if measure in found else ""


def table(device: str, settings: list[str], rows: int | None) -> Any:
    """A row for each setting and measure, a column for each route."""
    import pandas as pd

    from sk_mer.engine.devices import full_products, has_bf16

    lines = []
    for setting in settings:
        with full_products(device, "fp32"):
            found = {"literal": literal(setting, device, rows)}
        routes = ["fp32", *(["bf16"] if has_bf16(device) else [])]
        found |= {route: ours(route, setting, device, rows) for route in routes}
        for values in found.values():
            values["ratio"] = found["literal"]["epoch"] / values["epoch"]
        for measure, title in MEASURES.items():
            values = {route: _shown(found.get(route, {}), measure) for route in ROUTES}
            lines.append({"setting": setting, "measure": title, **values})
    return pd.DataFrame(lines)


def run(device: str, settings: list[str], rows: int | None, output: Path | None) -> None:
    """Print the table, and keep it with the name of the device."""
    frame = table(device, settings, rows)
    on_gpu = torch.device(device).type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else device
    print(frame.to_string(index=False))
    print(f"{name}; torch {torch.__version__}")
    if output:
        output.mkdir(parents=True, exist_ok=True)
        frame.to_csv(output / "engine_gpu.csv", index=False)
        (output / "engine_gpu.txt").write_text(f"{name}; torch {torch.__version__}\n")
