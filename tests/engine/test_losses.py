"""Losses: unknown labels masked, rows weighed, means that micro-batches add up to."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sk_mer.engine.losses import (
    ClassLoss,
    ConcordanceLoss,
    GivenLoss,
    MultiLabelLoss,
    OneVsRestLoss,
    SquaredLoss,
    check_label_weights,
    label_weights,
    refuse_unfit_loss,
)
from sk_mer.targets import Targets

NAN = float("nan")
LOGITS = torch.tensor([[0.1, 2.0, -1.0], [0.3, -2.0, 4.0], [1.5, 0.2, 0.7]])
Y = torch.tensor([[0.0, NAN, 1.0], [1.0, 0.0, NAN], [NAN, NAN, NAN]])
ROWS = torch.tensor([2.0, 1.0, 5.0])


class TestWeights:
    names = ("a", "b", "c")
    columns = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [1, 0, 1]], dtype=np.float32)
    classes = np.array([0, 0, 0, 2])

    def of(self, encoded, given, rows=None):
        targets = Targets(
            self.names[: encoded.shape[-1] if encoded.ndim == 2 else 3], encoded
        )
        return label_weights(targets, given, rows, "pos_weight")

    def test_balanced_columns(self):
        # b has no positives; its weight stays 1.
        np.testing.assert_allclose(self.of(self.columns, "balanced"), [1 / 3, 1, 1 / 3])
        found = self.of(self.columns[:2, [0, 2]], "balanced")
        np.testing.assert_allclose(found, [1, 1])  # a has no negatives
        assert self.of(self.columns, None) is None

    def test_unknown_cells_do_not_count(self):
        some = self.columns.copy()
        some[3] = NAN
        np.testing.assert_allclose(self.of(some, "balanced"), [1 / 2, 1, 1 / 2])
        some[0, 2] = NAN
        np.testing.assert_allclose(self.of(some, "balanced"), [1 / 2, 1, 1])
        classes = np.array([0, 0, 0, 2, -1, -1])
        np.testing.assert_allclose(
            self.of(classes, "balanced"), self.of(self.classes, "balanced")
        )

    def test_rows_count_by_their_weights(self):
        rows = np.array([1.0, 2.0, 3.0, 1.0])
        twice = np.repeat(self.columns, [1, 2, 3, 1], axis=0)
        np.testing.assert_allclose(
            self.of(self.columns, "balanced", rows), self.of(twice, "balanced")
        )
        twice = np.repeat(self.classes, [1, 2, 3, 1])
        np.testing.assert_allclose(
            self.of(self.classes, "balanced", rows), self.of(twice, "balanced")
        )

    def test_balanced_classes(self):
        """n / (n_classes * n of the class), as scikit-learn balances."""
        np.testing.assert_allclose(self.of(self.classes, "balanced"), [4 / 9, 1, 4 / 3])

    def test_given_numbers(self):
        exact = [Fraction(2), Fraction(3), Fraction(9, 2)]
        named = {"b": 3, "c": 4.5, "a": 2}
        for given in ([2, 3, 4.5], (2, 3, 4.5), exact, named, dict(zip("abc", exact))):
            for encoded in (self.columns, self.classes):
                assert self.of(encoded, given).tolist() == [2.0, 3.0, 4.5]
        assert self.of(self.columns, {"c": 0.25}).tolist() == [1.0, 1.0, 0.25]

    @pytest.mark.parametrize(
        "bad", [[1, 2], [1, 2, 0], [1, 2, -3], [1, 2, NAN], 2.0, {"a": 0}]
    )
    def test_refused(self, bad):
        with pytest.raises(ValueError, match=r"pos_weight=.* one positive number for each"):
            self.of(self.columns, bad)

    def test_names_and_values_of_a_mapping(self):
        with pytest.raises(ValueError, match=r"class_weight names 'd'; known are 'a', 'b'"):
            check_label_weights("class_weight", {"d": 1.0}, ("a", "b"))
        for bad in (0, -1, "much", NAN, float("inf")):
            with pytest.raises(ValueError, match="for 'a'; expected a positive number"):
                check_label_weights("pos_weight", {"a": bad}, ("a", "b"))


class TestMultiLabelLoss:
    def test_is_torchs_where_all_is_known(self):
        y, weights = torch.eye(3), torch.tensor([3.0, 1.0, 0.5])
        expected = nn.BCEWithLogitsLoss(pos_weight=weights)(LOGITS, y)
        torch.testing.assert_close(MultiLabelLoss(weights)(LOGITS, y), expected)

    def test_mean_over_the_known_cells(self):
        known = ~Y.isnan()
        cells = functional.binary_cross_entropy_with_logits(
            LOGITS[known], Y[known], reduction="none"
        )
        torch.testing.assert_close(MultiLabelLoss()(LOGITS, Y), cells.mean())
        weights = ROWS[:, None].expand(3, 3)[known]
        expected = (cells * weights).sum() / weights.sum()
        torch.testing.assert_close(MultiLabelLoss()(LOGITS, Y, ROWS), expected)

    def test_unknown_rows_have_no_gradient(self):
        logits = LOGITS.clone().requires_grad_()
        MultiLabelLoss()(logits, Y).backward()
        assert (logits.grad[Y.isnan()] == 0).all()
        assert (logits.grad[~Y.isnan()] != 0).all()

    def test_nothing_known(self):
        logits = LOGITS.clone().requires_grad_()
        loss = MultiLabelLoss()(logits, torch.full((3, 3), NAN))
        loss.backward()
        assert float(loss.detach()) == 0
        assert (logits.grad == 0).all()

    def test_extras_are_left_to_the_losses_of_systems(self):
        assert MultiLabelLoss()((LOGITS, "extras"), Y) == MultiLabelLoss()(LOGITS, Y)


class TestOneVsRestLoss:
    CODES = torch.tensor([2, 0, -1])

    @pytest.mark.parametrize("rows", [None, ROWS])
    def test_is_that_of_columns(self, rows):
        columns = torch.tensor([[0.0, 0, 1], [1, 0, 0], [NAN, NAN, NAN]])
        weights = torch.tensor([3.0, 1.0, 0.5])
        loss = OneVsRestLoss(weights)(LOGITS, self.CODES, rows)
        torch.testing.assert_close(loss, MultiLabelLoss(2 * weights)(LOGITS, columns, rows))

    def test_parts_add_up(self):
        loss, total = OneVsRestLoss(), 0.0
        for part in (slice(0, 1), slice(1, 3)):
            weight = loss.total_weight(self.CODES[part], ROWS[part])
            total += weight * loss(LOGITS[part], self.CODES[part], ROWS[part])
        whole = loss(LOGITS, self.CODES, ROWS)
        total = total / loss.total_weight(self.CODES, ROWS)
        torch.testing.assert_close(total, whole)


class TestClassLoss:
    def test_is_torchs(self):
        y, weight = torch.tensor([2, 0, 1]), torch.tensor([1.0, 3.0, 0.5])
        expected = nn.CrossEntropyLoss(weight=weight)(LOGITS, y)
        torch.testing.assert_close(ClassLoss(weight)(LOGITS, y), expected)

    def test_unknown_rows_and_weights(self):
        y = torch.tensor([2, -1, 1])
        expected = functional.cross_entropy(LOGITS[[0, 2]], y[[0, 2]])
        torch.testing.assert_close(ClassLoss()(LOGITS, y), expected)
        twice = functional.cross_entropy(LOGITS[[0, 0, 2]], y[[0, 0, 2]])
        rows = torch.tensor([2.0, 7.0, 1.0])
        torch.testing.assert_close(ClassLoss()(LOGITS, y, rows), twice)
        assert ClassLoss()(LOGITS, torch.full((3,), -1)) == 0


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (MultiLabelLoss(torch.tensor([2.0, 1.0, 4.0])), Y),
        (ClassLoss(torch.tensor([2.0, 1.0, 4.0])), torch.tensor([1, -1, 2])),
        (SquaredLoss(), Y),
        (GivenLoss(nn.BCEWithLogitsLoss()), torch.eye(3)),
        (GivenLoss(nn.CrossEntropyLoss(torch.tensor([2.0, 1.0, 4.0]))), torch.arange(3)),
    ],
)
def test_micro_batches_add_up(loss, y):
    rows = None if isinstance(loss, GivenLoss) else ROWS
    whole, parts = loss(LOGITS, y, rows), [slice(0, 1), slice(1, 3)]
    some = [(LOGITS[p], y[p], None if rows is None else rows[p]) for p in parts]
    totals = [loss.total_weight(part_y, w) for _, part_y, w in some]
    assert sum(totals) == pytest.approx(loss.total_weight(y, rows))
    added = sum(loss(*part) * total for part, total in zip(some, totals, strict=True))
    torch.testing.assert_close(added / sum(totals), whole)


class TestConcordanceLoss:
    def test_is_lins_coefficient(self):
        guess, truth = LOGITS.double(), torch.rand(3, 3, dtype=torch.float64)
        found = 1 - ConcordanceLoss()(guess, truth)
        expected = []
        for x, y in zip(guess.T.numpy(), truth.T.numpy(), strict=True):
            top = 2 * np.mean((x - x.mean()) * (y - y.mean()))
            expected.append(top / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))
        assert float(found) == pytest.approx(np.mean(expected))

    def test_perfect_and_constant(self):
        assert float(ConcordanceLoss()(LOGITS, LOGITS)) == pytest.approx(0, abs=1e-6)
        assert float(ConcordanceLoss()(torch.zeros(3, 3), LOGITS)) == pytest.approx(1)
        assert torch.isfinite(ConcordanceLoss()(torch.zeros(2, 1), torch.zeros(2, 1)))

    def test_unknown_numbers_and_weights(self):
        y = torch.tensor([[1.0, NAN, NAN], [0.5, 2.0, NAN], [3.0, 1.0, NAN]])
        known = [LOGITS[:, :1], y[:, :1]], [LOGITS[1:, 1:2], y[1:, 1:2]]
        expected = torch.stack([ConcordanceLoss()(*pair) for pair in known]).mean()
        torch.testing.assert_close(ConcordanceLoss()(LOGITS, y), expected)
        rows, twice = torch.tensor([2.0, 1.0, 1.0]), [0, 0, 1, 2]
        torch.testing.assert_close(
            ConcordanceLoss()(LOGITS, y, rows), ConcordanceLoss()(LOGITS[twice], y[twice])
        )

    def test_batches_stay_whole(self):
        assert not hasattr(ConcordanceLoss(), "total_weight")


class TestGivenLoss:
    def test_columns_of_which_nothing_is_told(self):
        y = torch.tensor([[0.0, NAN, 1.0], [1.0, NAN, 0.0], [1.0, NAN, 1.0]])
        expected = nn.BCEWithLogitsLoss()(LOGITS[:, [0, 2]], y[:, [0, 2]])
        assert GivenLoss(nn.BCEWithLogitsLoss())(LOGITS, y) == expected

    def test_only_known_means_are_cut(self):
        assert GivenLoss(nn.BCEWithLogitsLoss()).total_weight(Y) == 3
        assert GivenLoss(nn.BCEWithLogitsLoss(reduction="sum")).total_weight(Y) is None
        assert GivenLoss(nn.MultiLabelSoftMarginLoss()).total_weight(Y) is None

    @pytest.mark.parametrize(
        ("inner", "encoded", "weights", "message"),
        [
            (nn.BCEWithLogitsLoss(), Y.numpy(), None, "unknown labels .NaN. in some rows"),
            (nn.BCEWithLogitsLoss(), np.eye(3), ROWS.numpy(), "takes no sample_weight"),
            (
                nn.BCEWithLogitsLoss(pos_weight=torch.ones(2)),
                np.eye(3, dtype=np.float32),
                None,
                "does not fit targets of 3 of the 3 labels",
            ),
        ],
    )
    def test_refused(self, inner, encoded, weights, message):
        targets = Targets(("a", "b", "c"), encoded)
        with pytest.raises(ValueError, match=message):
            refuse_unfit_loss(GivenLoss(inner), targets, weights)

    def test_weights_reach_a_loss_that_takes_them(self):
        class Own(nn.Module):
            def forward(self, logits, y, sample_weight=None):
                return (logits.sum(dim=1) * sample_weight).sum()

        loss = GivenLoss(Own())
        assert loss(LOGITS, torch.eye(3), ROWS) == (LOGITS.sum(dim=1) * ROWS).sum()
        targets = Targets(("a", "b", "c"), np.eye(3, dtype=np.float32))
        refuse_unfit_loss(loss, targets, ROWS.numpy())
