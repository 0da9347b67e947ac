"""The encoder against each utterance alone through nn.LSTM, forwards and in gradients."""

import copy
import multiprocessing
import os
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import joblib
import pytest
import torch
from torch import nn

from sk_mer.engine.casts import cast_weights, casts_kept
from sk_mer.engine.threads import (
    _pool,
    cores_for_micro_batches,
    n_cores,
    n_micro_batches,
    own_random_stream,
    random_stream,
    run_together,
)
from sk_mer.models.layers import recurrent
from sk_mer.models.layers.head import dropout
from sk_mer.models.layers.recurrent import LastStepBiLSTM, has_fast_kernel
from sk_mer.models.layers.sequence_lstm import SequenceLSTM

LAYERS = pytest.mark.parametrize("num_layers", [1, 2, 3])
DIRECTIONS = pytest.mark.parametrize("bidirectional", [True, False])
# One row, one-step rows, more rows than one part takes.
LENGTHS = [[4], [1], [5, 1, 3], [1, 1, 1, 1], list(range(1, 10)) * 16]


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def one_by_one(encoder, steps, lengths):
    """The textbook route: no padding, no batch."""
    states = []
    for row, n in zip(steps, lengths, strict=True):
        last = encoder.lstm(row[None, :n])[0][0, -1]
        parts = last.chunk(2) if encoder.lstm.bidirectional else (last,)
        states.append(sum(parts) if encoder.sum_directions else torch.cat(parts))
    return torch.stack(states)


def example(lengths, n_features=5, pad=0.0):
    torch.manual_seed(len(lengths))
    lengths = torch.tensor(lengths)
    steps = torch.randn(len(lengths), int(lengths.max()) + 2, n_features)
    for row, n in zip(steps, lengths, strict=True):
        row[n:] = pad
    return steps, lengths


def gradients(read, encoder, steps, lengths):
    encoder.zero_grad()
    steps = steps.clone().requires_grad_()
    states = read(encoder, steps, lengths)
    torch.manual_seed(0)
    (states * torch.randn_like(states)).sum().backward()
    of_weights = {
        name: torch.zeros_like(w) if w.grad is None else w.grad.clone()
        for name, w in encoder.named_parameters()
    }
    return states, {**of_weights, "steps": steps.grad}


@LAYERS
@DIRECTIONS
@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda n: f"{len(n)} rows to {max(n)}")
def test_equals_each_utterance_alone(num_layers, bidirectional, lengths, threads):
    encoder = LastStepBiLSTM(
        5, 4, num_layers, bidirectional, sum_directions=len(lengths) % 2 == 1
    )
    steps, lengths = example(lengths)
    assert has_fast_kernel(steps)
    states, found = gradients(lambda e, s, n: e(s, n), encoder, steps, lengths)
    expected, wanted = gradients(one_by_one, encoder, steps, lengths)
    torch.testing.assert_close(states, expected, rtol=1e-5, atol=1e-5)
    for name, grad in wanted.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-5, atol=1e-5, msg=name)
    with torch.no_grad():
        torch.testing.assert_close(encoder(steps, lengths), expected, rtol=1e-5, atol=1e-5)


@DIRECTIONS
def test_what_stands_in_the_padding_is_not_read(bidirectional):
    encoder = LastStepBiLSTM(5, 4, 2, bidirectional)
    lengths = [3, 1, 6]
    zeros, noise = (encoder(*example(lengths, pad=pad)) for pad in (0.0, 1e3))
    torch.testing.assert_close(zeros, noise, rtol=0, atol=0)


@DIRECTIONS
@pytest.mark.parametrize(
    "make",
    [
        lambda both: LastStepBiLSTM(5, 4, 2, both),
        lambda both: LastStepBiLSTM(5, 4, 2, both, masked=False, sum_directions=True),
        lambda both: SequenceLSTM(5, 4, bidirectional=both),
    ],
    ids=["last step", "of the window", "every step"],
)
@pytest.mark.parametrize("lengths", [[5, 1, 3, 5], [0, 4, 0, 2]], ids=str)
def test_fallback_gives_the_same(bidirectional, make, lengths):
    """Without oneDNN, plain nn.LSTM on packed sequences."""
    encoder = make(bidirectional)
    steps, lengths = example(lengths)
    states, found = gradients(lambda e, s, n: e(s, n), encoder, steps, lengths)
    torch._C._set_mkldnn_enabled(False)
    try:
        assert not has_fast_kernel(steps)
        expected, wanted = gradients(lambda e, s, n: e(s, n), encoder, steps, lengths)
    finally:
        torch._C._set_mkldnn_enabled(True)
    torch.testing.assert_close(states, expected, rtol=1e-5, atol=1e-5)
    for name, grad in wanted.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-5, atol=1e-5, msg=name)


def test_float64_takes_the_fallback():
    encoder = LastStepBiLSTM(3, 2, 2).double()
    steps, lengths = example([3, 2], n_features=3)
    steps = steps.double().requires_grad_()
    assert encoder(steps, lengths).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda s: encoder(s, lengths), steps)


def test_weights_are_those_of_an_lstm():
    encoder = LastStepBiLSTM(5, 4, 2)
    plain = nn.LSTM(5, 4, 2, bidirectional=True, batch_first=True)
    encoder.lstm.load_state_dict(plain.state_dict())
    steps, _ = example([6, 6])
    steps = steps[:, :6]
    expected = plain(steps)[0][:, -1]
    torch.testing.assert_close(encoder(steps, torch.tensor([6, 6])), expected)


def test_any_memory_layout():
    """The kernel reads whatever it gets as if it were contiguous."""
    encoder = LastStepBiLSTM(5, 4, 2)
    steps, lengths = example([5, 2, 4])
    expected = encoder(steps, lengths)
    time_first = steps.transpose(0, 1).contiguous().transpose(0, 1)
    strided = torch.stack([steps, steps], dim=3)[..., 0]
    for same in (time_first, strided):
        assert not same.is_contiguous()
        torch.testing.assert_close(encoder(same, lengths), expected, rtol=0, atol=0)


def test_rows_without_steps_are_zero():
    encoder = LastStepBiLSTM(5, 4, 2)
    steps, _ = example([3, 3, 3])
    states = encoder(steps, torch.tensor([0, 3, 0]))
    assert not states[[0, 2]].any()
    torch.testing.assert_close(states[1:2], encoder(steps[1:2], torch.tensor([3])))


def test_the_window_is_read_where_padding_counts():
    encoder = LastStepBiLSTM(5, 4, 2, masked=False)
    steps, lengths = example([3, 1])
    expected = encoder.lstm(steps)[0][:, -1]
    torch.testing.assert_close(encoder(steps, lengths), expected)


def test_unread_steps_are_not_computed(monkeypatch):
    """Two layers, both directions: three runs over the steps, not four."""
    runs = []
    kernel = recurrent._run_layer
    monkeypatch.setattr(recurrent, "_run_layer", lambda *a: runs.append(a[2]) or kernel(*a))
    LastStepBiLSTM(5, 4, 2)(*example([3, 2]))
    assert runs == ["_l0", "_l0_reverse", "_l1"]


class TestDropout:
    def test_rate_and_mean(self):
        torch.manual_seed(0)
        dropped = dropout(torch.ones(1001, 999), 0.15, True)
        assert (dropped == 0).float().mean() == pytest.approx(0.15, abs=2e-3)
        assert dropped.mean() == pytest.approx(1.0, abs=3e-3)
        assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.85], rel=1e-4)

    def test_neighbours_are_independent(self):
        """Four masks come from one random number."""
        torch.manual_seed(0)
        kept = (dropout(torch.ones(100_000, 4), 0.5, True) > 0).double()
        assert (torch.corrcoef(kept.T) - torch.eye(4)).abs().max() < 0.02

    def test_between_layers_only_while_training(self):
        encoder = LastStepBiLSTM(5, 4, 2, dropout=0.5)
        batch = example([5, 3, 2])
        assert not torch.equal(encoder(*batch), encoder(*batch))
        encoder.eval()
        torch.testing.assert_close(encoder(*batch), encoder(*batch), rtol=0, atol=0)

    def test_gradient_goes_where_values_go(self):
        ones = torch.ones(50, requires_grad=True)
        dropped = dropout(ones, 0.4, True)
        dropped.sum().backward()
        torch.testing.assert_close(ones.grad, dropped.detach())


class TestThreads:
    def test_users_number_is_left_alone(self, threads):
        encoder = LastStepBiLSTM(5, 4, 2)
        with torch.no_grad():
            encoder(*example([3] * 200))
        assert torch.get_num_threads() == threads
        with cores_for_micro_batches():
            assert (torch.get_num_threads(), n_cores()) == (1, threads)
        assert torch.get_num_threads() == threads

    @pytest.mark.parametrize("threads", [3], indirect=True)
    def test_others_keep_their_numbers(self, threads):
        """Threads born while others compute, or afterwards, have that of the process."""

        def of_a_new_thread():
            with ThreadPoolExecutor(1) as fresh:
                return fresh.submit(n_cores).result()

        together = threading.Barrier(3, timeout=60)

        def user(_):
            with cores_for_micro_batches():
                together.wait()
                run_together([threading.get_ident] * 3)
                inside = torch.get_num_threads(), n_cores(), of_a_new_thread()
                together.wait()
            return inside, torch.get_num_threads()

        _pool.cache_clear()  # making it sets numbers too
        with ThreadPoolExecutor(3) as users:
            assert list(users.map(user, range(3))) == [((1, 3, 3), 3)] * 3
        assert torch.get_num_threads() == of_a_new_thread() == 3

    def test_a_worker_takes_one_core(self, threads):
        def inside():
            with cores_for_micro_batches():
                return n_cores(), torch.get_num_threads()

        workers = joblib.Parallel(2, backend="threading")
        assert workers(joblib.delayed(inside)() for _ in range(4)) == [(1, 1)] * 4

    def test_parts(self, threads):
        with cores_for_micro_batches():
            assert n_micro_batches(1) == n_micro_batches(31) == 1
            assert n_micro_batches(64) == threads
            assert n_micro_batches(512) == 8
            assert n_micro_batches(520) % threads == 0

    def test_modes_are_handed_on(self, threads):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            modes = run_together(
                [lambda: (torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"))] * 3
            )
        assert modes == [(False, True)] * 3

    def test_tasks_inside_tasks_do_not_wait_for_each_other(self, threads):
        def outer():
            return sum(run_together([lambda: 1] * 3))

        assert run_together([outer] * 4) == [3] * 4

    def test_a_fork_has_threads_of_its_own(self, threads):
        """Threads do not live on in a forked process, and waiting for them would hang."""
        assert run_together([threading.get_ident] * 4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads
            with multiprocessing.get_context("fork").Pool(1) as child:
                found = child.apply_async(run_together, ([os.getpid] * 4,)).get(timeout=60)
        assert len(found) == 4
        assert os.getpid() not in found

    def test_streams_inside_streams(self):
        with own_random_stream(0):
            outer = random_stream()
            with own_random_stream(1):
                assert random_stream() is not outer
            assert random_stream() is outer
        assert random_stream() is None

    def test_errors_come_through(self, threads):
        def fails():
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            run_together([fails, lambda: 1])


class TestBfloat16:
    def test_is_near_and_float32_at_the_ends(self):
        encoder = LastStepBiLSTM(5, 4, 2)
        batch = example([5, 3, 2])
        expected = encoder(*batch)
        with torch.autocast("cpu", torch.bfloat16):
            states = encoder(*batch)
            with torch.no_grad():
                predicted = encoder(*batch)
        assert states.dtype == predicted.dtype == torch.float32
        assert not torch.equal(states, expected)
        torch.testing.assert_close(states, expected, rtol=0.05, atol=0.02)
        torch.testing.assert_close(predicted, expected, rtol=0.05, atol=0.02)

    @pytest.mark.parametrize("change", ["mul_", "data", "fused Adam"])
    def test_changed_weights_are_read(self, change):
        """Not all changes raise the version number of a weight."""
        encoder = LastStepBiLSTM(5, 4, 2)
        batch = example([5, 3, 2])
        optimizer = torch.optim.Adam(encoder.parameters(), lr=0.5, fused=True)

        def low():
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                return encoder(*batch)

        before = low()
        torch.testing.assert_close(low(), before, rtol=0, atol=0)
        for weight in encoder.parameters():
            weight.grad = torch.ones_like(weight)
            if change == "data":
                weight.data *= 2
            elif change == "mul_":
                weight.detach().mul_(2)
        if change == "fused Adam":
            optimizer.step()
        expected = copy.deepcopy(encoder)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            expected = expected(*batch)
        assert not torch.equal(expected, before)
        torch.testing.assert_close(low(), expected, rtol=0, atol=0)


class TestCasts:
    def test_once_in_a_context_and_anew_after_it(self):
        module = nn.Linear(2, 2)

        def cast():
            return cast_weights(module, torch.bfloat16)["weight"]

        assert cast() is not cast()
        with casts_kept():
            first = cast()
            assert cast() is first
            with torch.no_grad():
                assert not cast().requires_grad
            with casts_kept():
                assert cast() is not first
            assert cast() is first
        assert cast() is not first
        kept = weakref.ref(first)
        del first
        assert kept() is None

    def test_a_context_is_that_of_one_thread_and_of_its_parts(self, threads):
        module = nn.Linear(2, 2)

        def cast():
            return cast_weights(module, torch.bfloat16)["weight"]

        with casts_kept(), ThreadPoolExecutor(1) as other:
            own = run_together([cast] * 4)
            assert all(found is own[0] for found in own)
            assert other.submit(cast).result() is not own[0]

    def test_gradients_flow_through_a_shared_cast(self):
        module = nn.Linear(2, 1, bias=False)
        with casts_kept():
            for factor in (1.0, 2.0):
                weight = cast_weights(module, torch.bfloat16)["weight"]
                grad = torch.autograd.grad((weight * factor).sum(), [module.weight])[0]
                torch.testing.assert_close(grad, torch.full((1, 2), factor))
