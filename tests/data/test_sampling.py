import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.data.sampling import ShuffledPasses, StatelessSampler
from unblur.errors import UnblurError


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_the_ranks_share_an_epoch_without_overlap(world_size):
    ranks = [list(StatelessSampler(12, rank, world_size)) for rank in range(world_size)]
    assert sorted(itertools.chain(*ranks)) == list(range(12))
    assert [sampler[0] for sampler in ranks] == list(range(world_size))
    assert {len(sampler) for sampler in ranks} == {12 // world_size}


def test_epochs_continue_the_count():
    sampler = StatelessSampler(10, rank=1, world_size=2)
    sampler.set_epoch(3)
    assert list(sampler) == [31, 33, 35, 37, 39]
    assert list(sampler) == [31, 33, 35, 37, 39]  # iterating does not move it on
    assert len(sampler) == 5


def test_every_rank_gets_the_same_number_when_they_cannot_be_shared_evenly():
    ranks = [list(StatelessSampler(11, rank, 4)) for rank in range(4)]
    assert [len(rank) for rank in ranks] == [2] * 4
    assert sorted(itertools.chain(*ranks)) == list(range(8))


@pytest.mark.parametrize("wrong", [(10, 2, 2), (10, -1, 1), (1, 0, 2)])
def test_impossible_worlds_are_refused(wrong):
    with pytest.raises(UnblurError, match="expected 0 <= rank < world size <= samples"):
        StatelessSampler(*wrong)


@pytest.mark.parametrize("world_size", [1, 3])
def test_a_stopped_epoch_goes_on_with_the_next_sample_and_only_that_one(world_size):
    for rank in range(world_size):
        sampler = StatelessSampler(12, rank, world_size)
        sampler.set_epoch(2)
        whole = list(sampler)
        sampler.skip(2, 3)
        assert list(sampler) == whole[3:]
        assert len(sampler) == len(whole)
        sampler.set_epoch(3)
        assert list(sampler) == [index + 12 for index in whole]


@pytest.mark.property
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 2**31), st.integers(1, 4))
def test_every_pass_has_every_tile_once_and_needs_few_shards_at_a_time(tiles, seed, window):
    order, total = ShuffledPasses(tiles, seed, window), sum(tiles)
    shard_of = np.repeat(np.arange(len(tiles)), tiles)
    for number in range(3):
        seen = [order(index) for index in range(number * total, (number + 1) * total)]
        assert sorted(seen) == list(range(total))
        shards = [int(shard_of[tile]) for tile in seen]
        met = list(dict.fromkeys(shards))
        for first in range(0, len(met), window):  # nobody comes back to a shard of an earlier window
            together = set(met[first : first + window])
            places = [place for place, shard in enumerate(shards) if shard in together]
            assert places == list(range(places[0], places[-1] + 1))


def test_passes_differ_and_so_do_seeds_and_any_sample_can_be_asked_first():
    order = ShuffledPasses([5] * 10, seed=1, window=3)
    passes = [[order(index) for index in range(number * 50, number * 50 + 50)] for number in range(3)]
    assert len({tuple(one) for one in passes}) == 3
    assert [ShuffledPasses([5] * 10, seed=2, window=3)(index) for index in range(50)] != passes[0]
    few = ShuffledPasses([20], seed=1)
    assert [few(index) for index in range(20)] != [few(index) for index in range(20, 40)]
    for index in (149, 3, 77):
        assert ShuffledPasses([5] * 10, seed=1, window=3)(index) == passes[index // 50][index % 50]


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 4), (4, 2)])
def test_a_stopped_epoch_goes_on_in_another_world_with_no_sample_twice(before, after):
    """Eight samples a step in all, three of five steps done."""
    worlds = {world: [StatelessSampler(40, rank, world) for rank in range(world)] for world in (before, after)}
    done = [list(sampler)[: 3 * 8 // before] for sampler in worlds[before]]
    for sampler in worlds[after]:
        sampler.skip(0, 3 * 8 // after)
    rest = [list(sampler) for sampler in worlds[after]]
    assert sorted(number for numbers in done + rest for number in numbers) == list(range(40))
