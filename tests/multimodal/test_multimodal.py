import pickle
import sys
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array, dok_array
from sklearn.model_selection import GroupKFold, train_test_split

from sk_mer import MultimodalArray
from sk_mer.batching import gather_batch
from sk_mer.multimodal import duplicate_groups
from sk_mer.multimodal.ragged import Block
from sk_mer.preprocessing import MultimodalScaler


@pytest.fixture
def ragged(rng):
    return MultimodalArray(
        text=[rng.normal(size=(n, 3)) for n in (4, 2, 5, 1)],
        audio=[rng.normal(size=(9, 2)), None, rng.normal(size=(7, 2)), np.zeros((0, 2))],
    )


class TestConstruction:
    def test_list_of_sequences(self, ragged):
        assert len(ragged) == 4
        assert ragged.shape == (4,)
        assert ragged.ndim == 1
        assert ragged.size == 4
        assert ragged.modalities == ("text", "audio")
        assert ragged.n_features == {"text": 3, "audio": 2}
        np.testing.assert_array_equal(ragged.lengths("text"), [4, 2, 5, 1])
        np.testing.assert_array_equal(ragged.lengths("audio"), [9, 0, 7, 0])

    def test_object_array_of_sequences(self):
        rows = np.empty(2, dtype=object)
        rows[:] = [np.ones((1, 2)), np.ones((3, 2))]
        np.testing.assert_array_equal(MultimodalArray(text=rows).lengths("text"), [1, 3])

    def test_matrix_is_one_step(self):
        X = MultimodalArray(text=np.eye(3))
        np.testing.assert_array_equal(X.lengths("text"), [1, 1, 1])
        np.testing.assert_array_equal(X[1]["text"], [[0, 1, 0]])

    def test_nested_lists(self):
        X = MultimodalArray(audio=[[[1.0], [3.0]], [[5.0]]])
        np.testing.assert_array_equal(X.lengths("audio"), [2, 1])
        assert MultimodalArray(audio=[[1.0, 2.0], [3.0, 4.0]]).lengths(
            "audio"
        ).tolist() == [1, 1]

    def test_dense_with_lengths_keeps_no_padding(self, rng):
        dense = rng.normal(size=(3, 5, 2)).astype(np.float32)
        X = MultimodalArray(text=dense, lengths=[5, 1, 3])
        assert X.values("text").shape == (9, 2)
        np.testing.assert_array_equal(X[2]["text"], dense[2, :3])

    def test_lengths_by_modality(self, rng):
        dense = rng.normal(size=(2, 4, 2))
        X = MultimodalArray(text=dense, audio=dense, lengths={"audio": [1, 2]})
        assert X.lengths("text").tolist() == [4, 4]
        assert X.lengths("audio").tolist() == [1, 2]

    def test_any_names(self):
        X = MultimodalArray({"heart.rate": np.eye(2), "type": np.eye(2)})
        assert X.modalities == ("heart.rate", "type")
        assert "type" in X

    def test_from_ragged(self, rng):
        values = rng.normal(size=(6, 2)).astype(np.float32)
        X = MultimodalArray.from_ragged(audio=(values, [2, 0, 4]))
        np.testing.assert_array_equal(X[2]["audio"], values[2:])
        assert np.shares_memory(X.values("audio"), values)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "No modality"),
            ({"text": np.eye(3), "audio": np.eye(2)}, "different numbers of utterances"),
            ({"text": np.zeros(3)}, "1 dimensions"),
            ({"text": np.zeros((1, 2, 3, 4))}, "4 dimensions"),
            ({"text": [np.zeros((2, 3)), np.zeros((2, 4))]}, "different feature sizes"),
            ({"text": [np.zeros((2, 3)), np.zeros(3)]}, "row 1 has 1 dimensions"),
            ({"text": [None, None]}, "missing in every row"),
            ({"text": np.zeros((2, 3, 1)), "lengths": [1]}, "lengths of modality 'text'"),
            ({"text": np.zeros((2, 3, 1)), "lengths": [1, 4]}, "reach 4"),
            ({"text": np.zeros((2, 3, 1)), "lengths": [1, -1]}, "at least 0"),
            ({"text": np.zeros((2, 3, 1)), "lengths": {"tezt": [1, 1]}}, "'tezt'"),
            ({"text": [np.zeros((2, 3))], "lengths": [1]}, "have their own"),
        ],
    )
    def test_bad_values(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            MultimodalArray(**arguments)

    @pytest.mark.parametrize("sparse", [csr_array, dok_array])
    def test_sparse(self, sparse):
        with pytest.raises(TypeError, match="sparse"):
            MultimodalArray(text=sparse(np.eye(3)))

    @pytest.mark.parametrize("dtype", [complex, "U3", object])
    def test_not_real_numbers(self, dtype):
        with pytest.raises(TypeError, match="expected real numbers"):
            MultimodalArray(text=np.ones((2, 2)).astype(dtype))

    def test_from_ragged_bad(self):
        with pytest.raises(ValueError, match="add up to 3"):
            MultimodalArray.from_ragged(text=(np.ones((4, 1)), [1, 2]))
        with pytest.raises(ValueError, match="1 dimensions"):
            MultimodalArray.from_ragged(text=(np.ones(4), [1, 3]))


class TestNaturalInputs:
    """What people hand over: understood, or refused with the call to make instead."""

    def same(self, X, other):
        assert X.modalities == other.modalities
        for u, v in zip(X, other, strict=True):
            for name in X.modalities:
                np.testing.assert_array_equal(u[name], v[name])
                assert u[name].dtype == v[name].dtype

    def test_utterances_as_iterating_gives_them(self, ragged):
        self.same(MultimodalArray(list(ragged)), ragged)
        self.same(MultimodalArray(tuple(ragged)), ragged)
        self.same(MultimodalArray([ragged[2]]), ragged[2:3])
        some = [{"text": np.ones((2, 3))}, {"audio": np.ones((4, 1), np.float16)}]
        X = MultimodalArray(some, vision=np.eye(2), groups=["a", "b"])
        assert X.modalities == ("text", "audio", "vision")
        assert X.lengths("text").tolist() == [2, 0]
        assert X.lengths("audio").tolist() == [0, 4]
        assert X.values("audio").dtype == np.float16

    def test_cells_of_a_table(self, ragged):
        cells = {"text": [u["text"] for u in ragged], "audio": [u["audio"] for u in ragged]}
        table = pd.DataFrame(cells, index=[7, 3, 5, 1])
        self.same(MultimodalArray(table), ragged)
        self.same(MultimodalArray(text=table["text"]), ragged.select("text"))
        table["audio"] = [cells["audio"][0], None, cells["audio"][2], np.nan]
        self.same(MultimodalArray(table), ragged)
        nested = pd.Series([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]])
        assert MultimodalArray(text=nested).lengths("text").tolist() == [1, 2]

    def test_a_table_of_numbers_is_one_modality(self):
        table = pd.DataFrame(np.eye(3), columns=["a", "b", "c"])
        self.same(MultimodalArray(text=table), MultimodalArray(text=np.eye(3)))

    @pytest.mark.parametrize("grad", [False, True])
    @pytest.mark.parametrize(
        "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64]
    )
    def test_tensors(self, grad, dtype):
        dense = torch.arange(24.0).reshape(2, 4, 3).to(dtype).requires_grad_(grad)
        values = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
        if dtype == torch.float16:
            values = values.astype(np.float16)
        self.same(MultimodalArray(text=dense), MultimodalArray(text=values))
        X = MultimodalArray(text=dense, lengths=torch.tensor([4, 2]))
        self.same(X, MultimodalArray(text=values, lengths=[4, 2]))
        rows = [dense[0, :1], None, dense[1]]
        expected = MultimodalArray(text=[values[0, :1], None, values[1]])
        self.same(MultimodalArray(text=rows), expected)
        again = MultimodalArray([{"text": row} for row in dense])
        self.same(again, MultimodalArray(text=list(values)))

    @pytest.mark.parametrize(
        "given", [[np.ones((2, 3)), np.ones((1, 3))], np.ones((2, 3)), "folder", 7]
    )
    def test_no_name(self, given):
        with pytest.raises(
            TypeError,
            match=rf"^A {type(given).__name__} was given without a name; name each modality, "
            r"as in MultimodalArray\(text=\.\.\., audio=\.\.\.\), or give a list of "
            r"utterances, each a dict of its modalities\.$",
        ):
            MultimodalArray(given)

    def test_one_utterance(self, ragged):
        with pytest.raises(ValueError, match=r"give an array of one, X\[:1\], or a list"):
            MultimodalArray(ragged[0])

    @pytest.mark.parametrize(
        "text",
        [
            ["so happy", "no"],
            [None, "so happy"],
            ("so happy", "no"),
            np.array(["so happy", "no"]),
            pd.Series(["so happy", "no"]),
            [["so", "happy"], ["no"]],
            [["so", "happy"], ["oh", "no"]],
            pd.Series([["so", "happy"], ["no"]]),
        ],
    )
    def test_text(self, text):
        with pytest.raises(
            TypeError,
            match=r"^Modality 'words' holds text; expected sequences of numbers, which "
            r"WordVectorSequences\(vectors\)\.fit_transform\(sentences\) makes\.$",
        ):
            MultimodalArray(words=text)

    def test_one_number_a_step(self):
        rows = [[1.0, 2.0], [3.0, 4.0, 5.0]]
        for given in (rows, [np.array(row) for row in rows], pd.Series(rows)):
            with pytest.raises(
                ValueError, match=r"give each as a column, as in \[np\.resh"
            ):
                MultimodalArray(pitch=given)
        X = MultimodalArray(pitch=[np.reshape(row, (-1, 1)) for row in rows])
        assert X.lengths("pitch").tolist() == [2, 3]
        with pytest.raises(
            ValueError, match=r"row 1 has 1 dimensions; expected \(n_steps, n"
        ):
            MultimodalArray(pitch=[np.ones((2, 1)), [3.0, 4.0]])
        with pytest.raises(ValueError, match=r"a step give np\.reshape\(row, \(-1, 1\)\)"):
            MultimodalArray(pitch=[None, [3.0, 4.0]])
        with pytest.raises(ValueError, match=r"an utterance give np\.reshape\(array, \(-1"):
            MultimodalArray(age=pd.Series([31, 40]))
        assert MultimodalArray(age=np.reshape([31, 40], (-1, 1))).n_features == {"age": 1}

    def test_transposed(self):
        rows = [np.ones((40, 7)), np.ones((40, 9)), None]
        with pytest.raises(
            ValueError,
            match=r"^Modality 'audio' has rows of different feature sizes \(7 in row 0, 9 in "
            r"row 1\); all have 40 steps, so perhaps they are transposed: give \[row\.T for",
        ):
            MultimodalArray(audio=rows)
        with pytest.raises(ValueError, match=r"\(7 in row 0, 9 in row 1\)\.$"):
            MultimodalArray(audio=[np.ones((40, 7)), np.ones((4, 9))])

    @pytest.mark.parametrize("key", ["text", ["text", "audio"], np.array(["text"])])
    def test_a_modality_between_brackets(self, ragged, key):
        names = ", ".join(map(repr, np.ravel(key).tolist()))
        with pytest.raises(IndexError) as caught:
            ragged[key]
        assert str(caught.value) == (
            f"Rows were given as {names}; expected integers, booleans or a slice, or "
            f"X.select({names}) for modalities."
        )


class TestMemory:
    def test_rows_share_memory(self, ragged):
        for rows in (slice(1, 3), [0, 2], np.array([True, False, True, False])):
            view = ragged[rows]
            assert np.shares_memory(view[0]["text"], ragged.values("text"))
        deep = ragged[1:][::2][[0]]
        assert np.shares_memory(deep.values("text"), ragged.values("text"))

    def test_selecting_shares_memory(self, ragged):
        assert np.shares_memory(ragged.select("text").values("text"), ragged.values("text"))

    def test_array_is_used_as_it_is(self, rng):
        dense = rng.normal(size=(3, 5, 2)).astype(np.float32)
        assert np.shares_memory(MultimodalArray(text=dense).values("text"), dense)

    def test_float16_stays(self, rng):
        half = rng.normal(size=(3, 5, 2)).astype(np.float16)
        X = MultimodalArray(text=half, audio=list(half), vision=half.astype(np.float64))
        assert X.values("text").dtype == np.float16
        assert X.values("audio").dtype == np.float16
        assert X.values("vision").dtype == np.float32
        assert X.padded("text").dtype == np.float16
        assert "float16" in repr(X)

    @pytest.mark.parametrize("lengths", [None, [5, 2, 1]])
    def test_memory_map_stays(self, tmp_path, rng, lengths):
        dense = rng.normal(size=(3, 5, 2)).astype(np.float32)
        np.save(tmp_path / "text.npy", dense)
        mapped = np.load(tmp_path / "text.npy", mmap_mode="r")
        X = MultimodalArray(text=mapped, lengths=lengths)
        assert isinstance(X._blocks["text"].values, np.memmap)
        assert np.shares_memory(X[1:][0]["text"], mapped)
        np.testing.assert_array_equal(X[2]["text"], dense[2, : (lengths or [5] * 3)[2]])

    def test_flat_memory_map_stays(self, tmp_path, rng):
        np.save(tmp_path / "audio.npy", rng.normal(size=(6, 2)).astype(np.float16))
        mapped = np.load(tmp_path / "audio.npy", mmap_mode="r")
        X = MultimodalArray.from_ragged(audio=(mapped, [4, 2]))
        assert np.shares_memory(X[1:].values("audio"), mapped)

    def test_copy_is_compact(self, ragged):
        copied = ragged[[2, 0]].copy()
        assert copied.nbytes < ragged.nbytes
        assert not np.shares_memory(copied.values("text"), ragged.values("text"))
        np.testing.assert_array_equal(copied[0]["audio"], ragged[2]["audio"])


class TestIndexing:
    @pytest.mark.parametrize("row", [2, -2, np.int64(2), np.uint8(2)])
    def test_integer_gives_an_utterance(self, ragged, row):
        assert set(ragged[row]) == {"text", "audio"}
        assert ragged[row]["text"].shape == (5, 3)

    def test_missing_modality_has_no_steps(self, ragged):
        assert ragged[1]["audio"].shape == (0, 2)

    @pytest.mark.parametrize(
        ("key", "rows"),
        [
            (slice(None, None, -1), [3, 2, 1, 0]),
            ([3, -4], [3, 0]),
            (np.array([1, 1]), [1, 1]),
            ([False, True, False, True], [1, 3]),
            ([], []),
            (([1, 2], Ellipsis), [1, 2]),
        ],
    )
    def test_views(self, ragged, key, rows):
        view = ragged[key]
        assert len(view) == len(rows)
        for got, row in zip(view, rows, strict=True):
            np.testing.assert_array_equal(got["text"], ragged[row]["text"])
            np.testing.assert_array_equal(got["audio"], ragged[row]["audio"])

    @pytest.mark.parametrize(
        "key", [4, -5, [0, 4], [True], [0.5], [[0, 1]], (0, 1), np.array(["text"])]
    )
    def test_bad_keys(self, ragged, key):
        with pytest.raises(IndexError):
            ragged[key]

    def test_iteration_yields_utterances(self, ragged):
        assert [u["text"].shape[0] for u in ragged] == [4, 2, 5, 1]

    def test_unknown_modality(self, ragged):
        for ask in (
            ragged.select,
            ragged.drop,
            ragged.lengths,
            ragged.padded,
            ragged.values,
        ):
            with pytest.raises(ValueError, match="no modality 'smell'"):
                ask("smell")
        with pytest.raises(ValueError, match="name at least one"):
            ragged.drop("text", "audio")

    def test_drop(self, ragged):
        assert ragged.drop("text").modalities == ("audio",)


class TestDense:
    def test_padded_sides(self, ragged):
        right, left = ragged.padded("text"), ragged.padded("text", side="left")
        assert right.shape == (4, 5, 3)
        np.testing.assert_array_equal(right[1, :2], ragged[1]["text"])
        assert not right[1, 2:].any()
        np.testing.assert_array_equal(left[1, -2:], ragged[1]["text"])
        assert not left[1, :-2].any()

    def test_padded_cuts(self, ragged):
        cut = ragged.padded("text", 3)
        np.testing.assert_array_equal(cut[2], ragged[2]["text"][:3])
        np.testing.assert_array_equal(
            ragged.padded("text", 3, side="left")[2], ragged[2]["text"][:3]
        )

    def test_bad_side(self, ragged):
        with pytest.raises(ValueError, match="'right' or 'left'"):
            ragged.padded("text", side="top")

    def test_no_numpy_array(self, ragged):
        with pytest.raises(TypeError, match="ragged"):
            np.asarray(ragged)

    def test_nonfinite_count(self, monkeypatch):
        monkeypatch.setattr("sk_mer.multimodal.ragged._CHUNK_STEPS", 3)
        rows = [np.zeros((2, 2)) for _ in range(5)]
        rows[3][1] = [np.nan, np.inf]
        rows[4][0, 0] = -np.inf
        X = MultimodalArray(audio=rows)
        assert X.count_nonfinite("audio") == 3
        assert X._block("audio").nonfinite() == (3, 3)
        assert X[:3].count_nonfinite("audio") == 0


class TestPadding:
    def test_both_sides(self):
        content = [np.array([[1.0], [0.0], [2.0]]), np.array([[3.0]])]
        left, right = np.zeros((2, 4, 1)), np.zeros((2, 4, 1))
        for i, c in enumerate(content):
            left[i, 4 - len(c) :] = c
            right[i, : len(c)] = c
        for dense in (left, right):
            trimmed = MultimodalArray(text=dense).trim_padding()
            for got, expected in zip(trimmed, content, strict=True):
                np.testing.assert_array_equal(got["text"], expected)

    def test_aligned_modalities_are_trimmed_together(self):
        text = np.array([[[1.0], [2.0], [0.0]]])
        vision = np.array([[[5.0], [0.0], [0.0]]])
        X = MultimodalArray(text=text, vision=vision).trim_padding()
        assert X.lengths("vision").tolist() == [2]  # a lost face is not padding

    def test_different_windows_are_trimmed_apart(self):
        X = MultimodalArray(
            text=np.array([[[1.0], [0.0]]]), audio=np.array([[[1.0], [2.0], [0.0]]])
        ).trim_padding()
        assert X.lengths("text").tolist() == [1]
        assert X.lengths("audio").tolist() == [2]

    def test_absent_modality(self):
        X = MultimodalArray(text=np.ones((1, 3, 1)), vision=np.zeros((1, 3, 1)))
        assert X.trim_padding().lengths("vision").tolist() == [0]
        assert X.trim_padding(keep_empty=True).lengths("vision").tolist() == [3]

    def test_named_modalities_keep_a_step(self):
        dense = np.zeros((3, 4, 1))
        dense[0, 1:3] = 1
        X = MultimodalArray(
            text=dense, vision=dense * [[[1]], [[0]], [[0]]], audio=0 * dense[:, :2]
        )
        trimmed = X.trim_padding(keep_empty=["vision", "audio"])
        assert trimmed.lengths("text").tolist() == [2, 0, 0]
        assert trimmed.lengths("vision").tolist() == [2, 1, 1]
        assert trimmed.lengths("audio").tolist() == [1, 1, 1]
        assert X.trim_padding(keep_empty=[]).lengths("audio").tolist() == [0, 0, 0]
        dense[1, 3] = 2
        both = MultimodalArray(text=dense, vision=0 * dense)
        kept = both.trim_padding(keep_empty={"vision"})
        assert kept.lengths("vision").tolist() == [2, 1, 1]
        assert kept.lengths("text").tolist() == [2, 1, 0]

    def test_bad_names_of_modalities_to_keep(self):
        X = MultimodalArray(text=np.ones((1, 3, 1)))
        with pytest.raises(ValueError, match=r"^keep_empty names 'smell'; this Multi"):
            X.trim_padding(keep_empty=["smell"])
        with pytest.raises(
            ValueError,
            match=r"^keep_empty='text' was given; expected True, False or a list of "
            r"modalities, such as \['text'\]\.$",
        ):
            X.trim_padding(keep_empty="text")

    def test_given_lengths_and_single_steps_are_left_alone(self):
        X = MultimodalArray(text=[np.zeros((2, 1))], audio=np.zeros((1, 4)))
        assert X.trim_padding().lengths("text").tolist() == [2]
        assert X.trim_padding().lengths("audio").tolist() == [1]

    def test_trimming_shares_memory(self):
        dense = np.eye(4, dtype=np.float32)[None]
        X = MultimodalArray(text=dense).trim_padding()
        assert np.shares_memory(X.values("text"), dense)


class TestConcatenate:
    def test_rows(self, ragged):
        joined = MultimodalArray.concatenate([ragged[2:], ragged[:1]])
        assert joined.lengths("text").tolist() == [5, 1, 4]
        np.testing.assert_array_equal(joined[2]["audio"], ragged[0]["audio"])

    def test_padding_is_still_found(self):
        X = MultimodalArray(text=np.eye(3)[None])
        joined = MultimodalArray.concatenate([X, X])
        joined._blocks["text"].values[0] = 0
        assert joined.trim_padding().lengths("text").tolist() == [2, 3]

    def test_bad(self, ragged):
        with pytest.raises(ValueError, match="no arrays"):
            MultimodalArray.concatenate([])
        with pytest.raises(ValueError, match="common modalities"):
            MultimodalArray.concatenate([ragged, ragged.select("text")])
        with pytest.raises(ValueError, match="feature sizes"):
            MultimodalArray.concatenate(
                [MultimodalArray(text=np.eye(2)), MultimodalArray(text=np.eye(3))]
            )


class TestElsewhere:
    def test_train_test_split(self, ragged):
        a, b = train_test_split(ragged, test_size=2, random_state=0)
        assert len(a) == len(b) == 2
        assert sorted([*a.lengths("text"), *b.lengths("text")]) == [1, 2, 4, 5]

    def test_group_k_fold(self, ragged):
        folds = list(GroupKFold(2).split(ragged, groups=[0, 0, 1, 1]))
        assert len(ragged[folds[0][0]]) == 2

    @pytest.mark.parametrize("dump", [pickle.dumps, "joblib"])
    def test_pickle(self, ragged, dump, tmp_path):
        if dump == "joblib":
            joblib.dump(ragged, tmp_path / "x")
            again = joblib.load(tmp_path / "x")
        else:
            again = pickle.loads(dump(ragged))
        np.testing.assert_array_equal(again.values("audio"), ragged.values("audio"))

    def test_repr(self, ragged):
        assert repr(ragged).splitlines() == [
            "MultimodalArray of 4 utterances",
            "  text   3 features, 1-5 steps (mean 3.0)",
            "  audio  2 features, 7-9 steps (mean 8.0), missing in 2 utterances",
        ]
        assert "1 utterance" in repr(ragged[:1])
        assert "no steps" in repr(ragged[1:2])

    def test_html_repr_escapes(self):
        html = MultimodalArray({"<b>": np.eye(2)})._repr_html_()
        assert "&lt;b&gt;" in html
        assert "<b>" not in html


class TestVectorsByNumber:
    """Text as numbers of rows in a table of vectors."""

    @pytest.fixture
    def pair(self, rng):
        table = rng.normal(size=(50, 4)).astype(np.float32)
        ids, lengths = rng.integers(0, 50, 300), rng.multinomial(300, [1 / 40] * 40)
        audio = (rng.normal(size=(300, 3)), lengths)
        numbered = MultimodalArray.from_ragged(
            text=(ids.astype(np.int32), lengths), audio=audio, vectors={"text": table}
        )
        return numbered, MultimodalArray.from_ragged(
            text=(table[ids], lengths), audio=audio
        )

    def test_same_as_written_out(self, pair, rng):
        rows = rng.permutation(40)[:25]
        for numbered, plain in (pair, (pair[0][rows], pair[1][rows])):
            np.testing.assert_array_equal(numbered.values("text"), plain.values("text"))
            np.testing.assert_array_equal(numbered.padded("text"), plain.padded("text"))
            for one, other in zip(numbered, plain, strict=True):
                np.testing.assert_array_equal(one["text"], other["text"])
            ours, theirs = gather_batch(numbered), gather_batch(plain)
            for name, steps in theirs["sequences"].items():
                np.testing.assert_array_equal(ours["sequences"][name], steps)
            again = pickle.loads(pickle.dumps(numbered.copy()))
            np.testing.assert_array_equal(again.values("text"), plain.values("text"))

    def test_joining_keeps_the_numbers(self, pair):
        numbered, plain = pair
        joined = MultimodalArray.concatenate([numbered[5:], numbered[:5]])
        assert joined._block("text").values.dtype == np.int32
        np.testing.assert_array_equal(joined[-1]["text"], plain[4]["text"])
        mixed = MultimodalArray.concatenate([numbered[5:], plain[:5]])
        np.testing.assert_array_equal(mixed.values("text"), joined.values("text"))

    def test_takes_little_memory(self):
        table = np.zeros((100, 300), dtype=np.float32)
        ids = np.zeros(100_000, dtype=np.int32)
        X = MultimodalArray.from_ragged(text=(ids, [1000] * 100), vectors={"text": table})
        assert X.nbytes == ids.nbytes + table.nbytes < 100_000 * 300 * 4 / 200
        assert sys.getsizeof(X) >= X.nbytes
        assert "from 100 vectors" in repr(X)

    @pytest.mark.parametrize(
        ("ids", "lengths", "table", "message"),
        [
            ([0.5], [1], np.eye(2), "must be integers, one a step"),
            ([[0]], [1], np.eye(2), "must be integers, one a step"),
            ([0, 2], [2], np.eye(2), "refers to vectors 0 to 2, but there are 2"),
            ([-1], [1], np.eye(2), "refers to vectors -1 to -1"),
            ([0, 1], [1], np.eye(2), "add up to 1 steps, but 2 were given"),
            ([0], [1], np.ones(2), "have 1 dimensions"),
        ],
    )
    def test_bad_numbers(self, ids, lengths, table, message):
        with pytest.raises(ValueError, match=message):
            MultimodalArray.from_ragged(text=(ids, lengths), vectors={"text": table})

    def test_vectors_of_no_modality(self):
        with pytest.raises(ValueError, match="vectors were given for 'words'"):
            MultimodalArray.from_ragged(text=([0], [1]), vectors={"words": np.eye(1)})


class TestGroups:
    """The video of each utterance goes where the utterance goes."""

    @pytest.fixture
    def videos(self, ragged):
        return ragged.with_groups(["b", "b", "a", "c"])

    def test_given_to_the_constructors(self):
        X = MultimodalArray(text=np.eye(3), groups=pd.Series(["x", "y", "x"]))
        assert X.groups.tolist() == ["x", "y", "x"]
        assert X.groups.dtype.kind == "U"
        flat = MultimodalArray.from_ragged(text=(np.eye(3), [1, 0, 2]), groups=[7, 7, 9])
        assert flat.groups.tolist() == [7, 7, 9]
        whole = pd.Series([3, 3, 4], dtype="Int64")
        assert MultimodalArray(text=np.eye(3), groups=whole).groups.dtype == np.int64
        assert MultimodalArray(text=np.eye(3)).groups is None
        assert flat.with_groups(None).groups is None

    def test_are_a_copy(self):
        given = np.array([1, 1, 2])
        X = MultimodalArray(text=np.eye(3), groups=given)
        given[0] = 5
        assert X.groups[0] == 1
        with pytest.raises(ValueError, match="read-only"):
            X.groups[0] = 5

    @pytest.mark.parametrize(
        ("key", "rows"),
        [
            (slice(None, None, -1), [3, 2, 1, 0]),
            ([3, -4], [3, 0]),
            ([False, True, False, True], [1, 3]),
            ([], []),
            (([1, 2], Ellipsis), [1, 2]),
        ],
    )
    def test_rows(self, videos, key, rows):
        assert videos[key].groups.tolist() == [videos.groups[row] for row in rows]
        assert set(videos[2]) == {"text", "audio"}

    def test_kept_by_all_that_keeps_the_utterances(self, videos):
        for same in (
            videos.select("text"),
            videos.drop("text"),
            videos.copy(),
            videos.trim_padding(),
            videos._with_zeros({"audio": 2}),
            pickle.loads(pickle.dumps(videos)),
            MultimodalScaler().fit_transform(videos),
            MultimodalArray.concatenate([videos[:1], videos[1:]]),
        ):
            assert same.groups.tolist() == ["b", "b", "a", "c"]

    def test_scikit_learn_keeps_them(self, videos):
        for part, rows in zip(
            train_test_split(videos, range(4), random_state=0)[:2],
            train_test_split(range(4), random_state=0),
            strict=True,
        ):
            assert part.groups.tolist() == [videos.groups[row] for row in rows]
        read = joblib.delayed(lambda X: (X.groups.tolist(), X.lengths("text").tolist()))
        folds = [
            videos[test] for _, test in GroupKFold(3).split(videos, groups=videos.groups)
        ]
        found = joblib.Parallel(n_jobs=2, max_nbytes=1)(read(fold) for fold in folds)
        assert sorted(found) == [(["a"], [5]), (["b", "b"], [4, 2]), (["c"], [1])]

    def test_repr(self, videos):
        assert repr(videos).startswith("MultimodalArray of 4 utterances in 3 groups\n")
        assert "1 utterance in 1 group\n" in repr(videos[:1])
        assert "in 3 groups<" in videos._repr_html_()

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            (["a", "b"], r"groups has shape \(2,\); expected \(4,\), a value for each"),
            ([["a"]] * 4, r"groups has shape \(4, 1\)"),
            ("abcd", r"groups has shape \(\)"),
            ([0.0, 1.0, np.nan, 1.0], r"groups has nan in row 2; expected a string or a"),
            (["a", "b", None, "c"], r"groups has None in row 2; expected strings or whole"),
            (np.array(["a", 1, "b", 2], object), r"groups has 1 in row 1; expected"),
            (np.array([1, 2, 3, "b"], object), r"groups has 1 in row 0; expected"),
            (np.zeros(4, "M8[s]"), r"groups holds datetime64\[s\] values; expected str"),
        ],
    )
    def test_bad_groups(self, ragged, groups, message):
        with pytest.raises(ValueError, match=message):
            ragged.with_groups(groups)

    def test_joining_asks_for_groups_of_all(self, videos):
        with pytest.raises(
            ValueError,
            match=r"^Some of the arrays have groups and others have none; give groups to all by "
            r"X\.with_groups\(groups\), or take them away by X\.with_groups\(None\)\.$",
        ):
            MultimodalArray.concatenate([videos, videos.with_groups(None)])
        numbers = videos.with_groups([1, 1, 2, 3])
        with pytest.raises(ValueError, match="strings as groups and others numbers; make"):
            MultimodalArray.concatenate([videos, numbers])
        strings = numbers.with_groups(numbers.groups.astype(str))
        joined = MultimodalArray.concatenate([videos, strings])
        assert joined.groups.tolist() == ["b", "b", "a", "c", "1", "1", "2", "3"]


class TestDuplicates:
    """Exact copies of utterances."""

    def test_same_as_comparing_all_steps(self, rng, monkeypatch):
        monkeypatch.setattr("sk_mer.multimodal._duplicates._CHUNK_ROWS", 7)
        text = [rng.integers(0, 2, (n, 2)) for n in rng.integers(1, 4, 80)]
        audio = [rng.integers(0, 2, (n, 1)) if n else None for n in rng.integers(0, 3, 80)]
        X = MultimodalArray(text=text, audio=[a if a is None else -a for a in audio])
        X = X[rng.permutation(80)]
        seen = {}
        expected = [
            seen.setdefault((u["text"].tobytes(), u["audio"].tobytes()), len(seen))
            for u in X
        ]
        assert len(seen) < 80
        found = duplicate_groups(X)
        np.testing.assert_array_equal(found, expected)
        assert found.max() == len(seen) - 1

    @pytest.mark.parametrize("change", ["first", "middle", "last", "length", "audio"])
    def test_one_difference_is_enough(self, rng, change):
        text, audio = rng.normal(size=(5, 3)), rng.normal(size=(4, 2)).astype(np.float16)
        other, sound = text.copy(), audio.copy()
        if change == "audio":
            sound[2, 1] += 1
        elif change == "length":
            other = other[:-1]
        else:
            other[{"first": 0, "middle": 2, "last": 4}[change], 2] += 1
        X = MultimodalArray(text=[text, other, text], audio=[audio, sound, audio])
        assert duplicate_groups(X).tolist() == [0, 1, 0]

    def test_kinds_of_blocks(self, rng):
        ids, table = [0, 1, 2, 1, 0, 2], np.array([[1.0], [2.0], [1.0]])
        X = MultimodalArray.from_ragged(text=(ids, [2, 2, 2]), vectors={"text": table})
        assert duplicate_groups(X).tolist() == [0, 0, 1]
        zeros = MultimodalArray(text=np.array([[[0.0, 1.0]] * 3, [[-0.0, 1.0]] * 3]))
        assert duplicate_groups(zeros).tolist() == [0, 0]
        assert duplicate_groups(X[[2, 1, 1, 0]]).tolist() == [0, 1, 1, 1]
        assert duplicate_groups(X[:0]).shape == (0,)
        none = MultimodalArray(text=np.eye(3), audio=[None, np.ones((1, 2)), None])
        assert duplicate_groups(none.select("audio")).tolist() == [0, 1, 0]

    def test_different_utterances_are_not_read(self, tmp_path, rng, monkeypatch):
        np.save(tmp_path / "audio.npy", rng.normal(size=(60, 50, 3)).astype(np.float32))
        X = MultimodalArray(audio=np.load(tmp_path / "audio.npy", mmap_mode="r"))
        whole = []
        monkeypatch.setattr(
            "sk_mer.multimodal.ragged.Block.row",
            lambda block, i, row=Block.row: whole.append(row(block, i)) or whole[-1],
        )
        assert duplicate_groups(X).tolist() == list(range(60))
        assert not whole
        assert len(set(duplicate_groups(X[[0, 1, 2, 1]]))) == 3
        assert len(whole) == 2


class TestZeros:
    """Zeros where an utterance lacks a modality, in all kinds of blocks."""

    LENGTHS: ClassVar = {"text": [2, 0, 3, 0, 0], "audio": [4, 6, 0, 0, 0]}

    @pytest.fixture(params=["values", "vectors", "map", "float16"])
    def stored(self, request, rng, tmp_path):
        text = rng.normal(size=(5, 3)).astype(np.float32)
        audio = rng.normal(size=(10, 2)).astype(np.float32)
        vectors = None
        if request.param == "vectors":
            vectors, text = {"text": text}, np.array([4, 0, 1, 1, 2], dtype=np.uint8)
        elif request.param == "map":
            np.save(tmp_path / "text.npy", text)
            text = np.load(tmp_path / "text.npy", mmap_mode="r")
        elif request.param == "float16":
            text = text.astype(np.float16)
        lengths = self.LENGTHS
        return MultimodalArray.from_ragged(
            text=(text, lengths["text"]), audio=(audio, lengths["audio"]), vectors=vectors
        )

    def expected(self, X):
        sizes = {"text": 3, "audio": 2, "vision": 4}
        for k, u in enumerate(X):
            longest = max(len(steps) for steps in u.values())
            row = {name: u.get(name, np.zeros((0, sizes[name]))) for name in sizes}
            yield (
                k,
                {m: v if len(v) else np.zeros((longest, sizes[m])) for m, v in row.items()},
            )

    def same(self, X, expected):
        assert X.modalities == ("text", "audio", "vision")
        for name in X.modalities:
            rows = [row[name] for _, row in expected]
            assert X.lengths(name).tolist() == [len(row) for row in rows]
            np.testing.assert_array_equal(X.values(name), np.concatenate(rows))
            for u, row in zip(X, rows, strict=True):
                np.testing.assert_array_equal(u[name], row)
            batch = gather_batch(X)["sequences"][name]
            np.testing.assert_array_equal(X.padded(name), batch)
            for steps, row in zip(batch, rows, strict=True):
                np.testing.assert_array_equal(steps[: len(row)], row)
                assert not steps[len(row) :].any()

    def test_as_many_as_the_longest_other(self, stored, tmp_path):
        rows = list(self.expected(stored))
        filled = stored._with_zeros({"vision": 4, "audio": 2, "text": 3})
        assert filled.lengths("vision").tolist() == [4, 6, 3, 0, 0]
        self.same(filled, rows)
        self.same(filled[::-1], rows[::-1])
        self.same(filled[[1]], rows[1:2])
        self.same(filled[3:], rows[3:])
        self.same(pickle.loads(pickle.dumps(filled)), rows)
        self.same(filled[1:].copy(), rows[1:])
        self.same(filled[:2].copy().copy(), rows[:2])
        self.same(MultimodalArray.concatenate([filled[:2], filled[2:]]), rows)
        filled.to_disk(tmp_path / "folder")
        self.same(MultimodalArray.from_disk(tmp_path / "folder"), rows)
        text = filled.select("text")
        again = MultimodalArray.concatenate([text.copy(), text])
        np.testing.assert_array_equal(again[6]["text"], np.zeros((6, 3)))

    def test_nothing_is_stored_or_read(self, stored):
        filled = stored._with_zeros({"vision": 100, "text": 3})
        assert filled.nbytes == stored.nbytes
        assert filled.lengths("audio").tolist() == self.LENGTHS["audio"]
        assert filled.n_features == {"text": 3, "audio": 2, "vision": 100}
        assert filled.count_nonfinite("vision") == 0
        assert duplicate_groups(filled[[1, 2, 1]]).tolist() == [0, 1, 0]

    def test_nothing_lacking_nothing_changed(self):
        X = MultimodalArray(text=np.ones((2, 3, 1)), audio=np.ones((2, 1)))
        filled = X._with_zeros({"text": 1, "audio": 1})
        assert filled._block("text") is X._block("text")
        assert filled.lengths("audio").tolist() == [1, 1]
