import pytest

from unblur.data.progressive import AnyPatch, ProgressiveBatches
from unblur.errors import UnblurError


def batches(epoch, **options):
    sampler = ProgressiveBatches([2, 3], [16, 32], [4, 1], steps_per_epoch=3, **options)
    sampler.set_epoch(epoch)
    return sampler


def test_patches_grow_and_batches_shrink_with_the_epoch():
    for epoch, count, side in ((0, 4, 16), (1, 4, 16), (2, 1, 32), (9, 1, 32)):
        found = list(batches(epoch))
        assert len(found) == len(batches(epoch)) == 3
        assert all(len(batch) == count and {patch for _, patch in batch} == {side} for batch in found)


def test_every_sample_is_used_once_over_epochs_and_ranks():
    used = [
        sample
        for epoch in range(5)
        for rank in range(2)
        for batch in batches(epoch, rank=rank, world_size=2)
        for sample, _ in batch
    ]
    assert sorted(used) == list(range(len(used)))


def test_a_stopped_epoch_goes_on_with_the_next_batch():
    whole = list(batches(1))
    resumed = batches(1)
    resumed.skip(1, 2)
    assert list(resumed) == whole[2:]
    resumed.set_epoch(2)
    assert len(list(resumed)) == 3


def test_the_dataset_gives_the_patch_that_is_asked_for():
    class Crops:
        patch_size = 8

        def __getitem__(self, index):
            return index, self.patch_size

    crops = AnyPatch(Crops())
    assert [crops[3, 16], crops[4, 32]] == [(3, 16), (4, 32)]


@pytest.mark.parametrize("lists", [([2], [16, 32], [4, 1]), ([3, 2], [16, 32], [4, 1]), ([], [], []), ([2], [0], [1])])
def test_lists_that_do_not_fit_are_refused(lists):
    with pytest.raises(UnblurError, match=r"data\.progressive"):
        ProgressiveBatches(*lists, steps_per_epoch=1)
