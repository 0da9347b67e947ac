"""A second device for machines that have none: tensors that say "cuda", with values.

torch's fake tensors have no values, so that nothing which asks for one can run on them (a
length, a norm, a projection, a score), and a torch without CUDA records no gradients of
those that say "cuda". These are computed by the processor, but every operation that mixes
them with others is refused, as CUDA refuses it: a whole ``fit`` can be run.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

DEVICE, PROCESSOR = torch.device("cuda", 0), torch.device("cpu")
# Functions whose second argument may be on the processor while the first is not: an
# index, the source of a copy, sizes of packed batches (which must be there).
_OTHER_SECOND = {"__getitem__", "__setitem__", "copy_", "lstm", "gru", "rnn_tanh",
                 "_pack_padded_sequence", "_pad_packed_sequence"}  # fmt: skip
_SIZES_SECOND = {"_pack_padded_sequence", "_pad_packed_sequence"}


class Elsewhere(torch.Tensor):
    """A tensor of the second device."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return _call(func, args, kwargs or {})


class SecondDevice(TorchFunctionMode):
    """Inside, ``device="cuda"`` is that device."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return _call(func, args, kwargs or {})


@contextmanager
def second_device():
    """A machine with such a device."""
    fork = torch.random.fork_rng
    with pytest.MonkeyPatch.context() as patch, SecondDevice():
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "mem_get_info", lambda device=None: (2**30, 2**30))
        patch.setattr(torch.random, "fork_rng", lambda devices=(): fork(devices=[]))
        patch.setattr(nn.Module, "_apply", _apply)
        patch.setattr(nn.RNNBase, "_apply", _apply)
        yield


# What answers with a number of the device, or with a tensor whose size is one.
_ASKS = {"item", "tolist", "__bool__", "__int__", "__float__", "__index__", "__contains__",
         "__repr__", "__format__", "cpu", "nonzero", "argwhere", "masked_select", "unique",
         "unique_consecutive", "bincount", "equal", "allclose", "is_nonzero"}  # fmt: skip
_WATCHED = []


@contextmanager
def waits():
    """Where the processor waits for the device in here: a list of lines of code.

    A GPU computes while the program goes on, until this asks for a number, or sends some
    from memory that is not pinned.
    """
    found = []
    _WATCHED.append(found)
    try:
        yield found
    finally:
        _WATCHED.remove(found)


def _watch(name, there, args, kwargs):
    if not _waits(name, there, args, kwargs):
        return
    frames = traceback.extract_stack()[:-3]
    if frames[-1].filename.endswith("clip_grad.py"):
        return  # torch groups gradients by a device that it asks for without us
    own = [f"{f.filename}:{f.lineno}" for f in frames if "sk_mer/" in f.filename]
    line = f"{name} at {own[-1] if own else frames[-1]}"
    for found in _WATCHED:
        found.append(line)


def _waits(name, there, args, kwargs):
    if there and (name in _ASKS or (name == "where" and len(args) == 1)):
        return True
    if there and name in ("__getitem__", "__setitem__"):
        index = _tensors(args[1])
        return any(t.dtype == torch.bool or not isinstance(t, Elsewhere) for t in index)
    if there and name == "repeat_interleave":
        return len(_tensors((args, kwargs))) > 1 and "output_size" not in kwargs
    if name in ("to", "cuda", "type", "copy_"):
        target, *_ = _target(name, args, kwargs)
        goes = name == "copy_" or target is not None
        here = [isinstance(t, Elsewhere) for t in _tensors(args)]
        end = here[0] if name == "copy_" else target == DEVICE
        start = here[-1] if name == "copy_" else here[0]
        return goes and start != end and not kwargs.get("non_blocking")
    asked = name in ("tensor", "as_tensor", "asarray")
    return asked and _target(name, args, kwargs)[0] == DEVICE


def _call(func, args, kwargs):
    name = getattr(func, "__name__", "")
    there = any(isinstance(t, Elsewhere) for t in _tensors((args, kwargs)))
    if _WATCHED:
        _watch(name, there, args, kwargs)
    if func == torch.Tensor.device.__get__:
        return DEVICE if there else PROCESSOR
    if func is torch.device or name == "_parse_to":  # these only read names
        return func(*args, **kwargs)
    if func == torch.Tensor.__deepcopy__:
        return _deepcopy(*args)
    if there and name in ("numpy", "__array__"):
        raise TypeError(f"can't convert {DEVICE} device type tensor to numpy; use .cpu()")
    target, args, kwargs = _target(name, args, kwargs)
    if target is None:
        target = _common_device(name, args, kwargs)
    with torch._C.DisableTorchFunctionSubclass():
        result = func(*args, **kwargs)
    if name in _SIZES_SECOND and target == DEVICE:
        return _as(Elsewhere, result[0]), *result[1:]
    kind = Elsewhere if target == DEVICE else torch.Tensor
    if isinstance(result, torch.Tensor):
        return _as(kind, result)
    return tree_map(lambda x: _as(kind, x), result)


def _tensors(values):
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, (tuple, list)):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


def _common_device(name, args, kwargs):
    """Where all are; a number without dimensions may come from the processor."""
    packed = name in _SIZES_SECOND
    if name in _OTHER_SECOND:
        second = _tensors(args[1]) if len(args) > 1 else []
        wrong = any(isinstance(t, Elsewhere) for t in second)
        if wrong and (packed or (name != "copy_" and not isinstance(args[0], Elsewhere))):
            raise RuntimeError(f"{name}: the second argument must be on the processor")
        if not isinstance(args[1], (tuple, list)) or name.endswith("item__"):
            args = (args[0], *args[2:])
    given = _tensors((args, kwargs))
    there = [t for t in given if isinstance(t, Elsewhere)]
    if there and any(t.dim() for t in given if not isinstance(t, Elsewhere)):
        raise RuntimeError(f"{name}: Expected all tensors to be on the same device")
    return DEVICE if there else PROCESSOR


def _target(name, args, kwargs):
    """The device that is asked for, if one is, and the arguments without it."""
    if name == "cpu":
        return PROCESSOR, args, kwargs
    if name == "to" and len(args) > 1 and isinstance(args[1], torch.Tensor):
        target = DEVICE if isinstance(args[1], Elsewhere) else PROCESSOR
        return target, (args[0], args[1].dtype), kwargs
    named = [x for x in (*args, *kwargs.values()) if _is_device(x)]
    if not named:
        return None, args, kwargs
    args = tuple(PROCESSOR if _is_device(x) else x for x in args)
    kwargs = {key: PROCESSOR if _is_device(x) else x for key, x in kwargs.items()}
    return DEVICE if torch.device(named[0]).type == "cuda" else PROCESSOR, args, kwargs


def _is_device(x):
    if isinstance(x, str):
        return x.partition(":")[0] in ("cuda", "cpu")
    return isinstance(x, torch.device)


def _as(kind, x):
    if not isinstance(x, torch.Tensor) or isinstance(x, Elsewhere) == (kind is Elsewhere):
        return x
    return x.as_subclass(kind)


def _deepcopy(tensor, memo):
    """torch's own would make a tensor of the processor of it."""
    with torch._C.DisableTorchFunctionSubclass():
        copy = tensor.detach().clone().as_subclass(type(tensor))
        copy.requires_grad_(tensor.requires_grad)
        if isinstance(tensor, nn.Parameter):
            copy._is_param = True
    memo[id(tensor)] = copy
    return copy


def _apply(self, fn, recurse=True):
    """What ``Module.to`` does: torch's own would put new values into old tensors."""
    done = {}
    for module in self.modules():
        for name, old in list(module._parameters.items()):
            if old is not None and id(old) not in done:
                done[id(old)] = old, nn.Parameter(fn(old.detach()), old.requires_grad)
            if old is not None:
                setattr(module, name, done[id(old)][1])
        for name, old in module._buffers.items():
            if old is not None:
                module._buffers[name] = fn(old)
    return self
