import itertools

import pytest

from unblur.data.sampling import StatelessSampler
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
