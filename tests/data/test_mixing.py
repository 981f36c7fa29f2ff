"""CutBlur and MixUp: what they exchange, and that a batch is a function of the seed and its keys alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, default_collate

from unblur.data.mixing import BETA, CUT, MixingCollate, cutblur, mixup


def items(count, size=20):
    """Blurred images are numbered from 0, their truths from 100."""
    return [
        {
            "blur": torch.full((3, size, size), float(i)),
            "sharp": torch.full((3, size, size), 100.0 + i),
            "key": f"p#{i}",
        }
        for i in range(count)
    ]


@pytest.mark.property
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40))
def test_cutblur_exchanges_one_rectangle_of_seven_tenths(seed, height, width):
    blur, sharp = torch.zeros(3, height, width), torch.ones(3, height, width)
    mixed = cutblur(blur, sharp, np.random.default_rng(seed))
    assert (blur == 0).all()
    assert (sharp == 1).all()
    assert (mixed == mixed[:1]).all()  # all channels alike
    area = max(1, round(height * CUT)) * max(1, round(width * CUT))
    assert any(is_rectangle(mixed[0] == inner, area) for inner in (0, 1))


def is_rectangle(where, area):
    if int(where.sum()) != area:
        return False
    rows, columns = where.any(dim=1).nonzero(), where.any(dim=0).nonzero()
    return bool(where[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all())


def test_cutblur_goes_both_ways_and_everywhere():
    blur, sharp = torch.zeros(3, 10, 10), torch.ones(3, 10, 10)
    sums = [int(cutblur(blur, sharp, np.random.default_rng(seed))[0].sum()) for seed in range(200)]
    assert set(sums) == {49, 51}
    assert 70 < sums.count(49) < 130


def test_mixup_weighs_an_image_with_the_one_before_it():
    images = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 3, 2, 2)
    assert mixup(images, 0.75)[:, 0, 0, 0].tolist() == [0.75, 0.75, 1.75, 2.75]


def test_mixed_items_keep_blur_and_truth_together_and_name_both():
    batch = MixingCollate(0.0, 1.0, seed=3)(items(3))
    assert batch["key"] == ["p#0+p#2", "p#1+p#0", "p#2+p#1"]
    torch.testing.assert_close(batch["sharp"], batch["blur"] + 100)
    weights = np.array(
        [(1 - MixingCollate(0.0, 1.0, seed)(items(2))["blur"][0, 0, 0, 0]).item() for seed in range(500)]
    )
    assert weights.mean() == pytest.approx(0.5, abs=0.05)
    assert weights.var() == pytest.approx(1 / (4 * (2 * BETA + 1)), rel=0.15)  # of Beta(b, b)


def test_the_share_of_items_is_kept_and_truth_is_never_touched():
    cut = whole = 0
    for seed in range(60):
        batch = MixingCollate(0.25, 0.0, seed)(items(8, size=4))
        assert batch["sharp"].flatten(1).std(dim=1).max() == 0
        cut += int((batch["blur"].flatten(1).std(dim=1) > 0).sum())
        whole += 8
    assert cut / whole == pytest.approx(0.25, abs=0.07)


def test_switched_off_it_is_the_usual_batch():
    one, two = MixingCollate(0.0, 0.0, 1)(items(3)), default_collate(items(3))
    assert one["key"] == two["key"]
    assert torch.equal(one["blur"], two["blur"])


def test_a_batch_is_a_function_of_seed_and_keys():
    def batches(workers, seed=1):
        collate = MixingCollate(0.5, 0.5, seed)
        return list(DataLoader(items(24, size=6), batch_size=4, num_workers=workers, collate_fn=collate))

    for one, two in zip(batches(0), batches(2), strict=True):
        assert torch.equal(one["blur"], two["blur"])
        assert torch.equal(one["sharp"], two["sharp"])
    assert any(not torch.equal(one["blur"], two["blur"]) for one, two in zip(batches(0), batches(0, 2), strict=True))
    assert len({batch["key"][0].count("+") for batch in batches(0)}) == 2
