"""Batches: the same for any number of workers, and no thread left behind."""

import threading

import numpy as np
import pytest

import minidl as dl


def batches(workers, start=0, **more):
    train = dl.data.digits(size=8).train[:50]
    settings = {"augment": [dl.data.Shift(2), dl.data.Flip()], "seed": 4} | more
    loader = dl.data.Loader(train, batch=8, workers=workers, **settings)
    return [
        (x.tobytes(), labels.tobytes())
        for epoch in (0, 1)
        for x, labels in loader.epoch(epoch, start)
    ]


def test_batches_do_not_depend_on_workers_or_on_what_came_before():
    plain = batches(0)
    assert all(batches(workers) == plain for workers in (1, 2, 4))
    assert batches(2, start=3) == plain[3:7] + plain[10:]
    assert plain[:7] != plain[7:]
    assert batches(0, seed=5) != plain
    assert batches(0, shuffle=False, augment=())[:7] == (
        batches(0, shuffle=False, augment=())[7:])


def test_an_epoch_that_is_left_early_leaves_no_thread():
    before = threading.active_count()
    loader = dl.data.Loader(dl.data.digits(size=8).train, batch=4, workers=3)
    for _ in loader.epoch(0):
        break
    assert threading.active_count() == before


def test_an_error_in_a_worker_comes_out():
    def bad(images, labels, rng):
        raise dl.DataError("bad luck")

    loader = dl.data.Loader(dl.data.digits(size=8).train, augment=[bad])
    with pytest.raises(dl.DataError, match="bad luck"):
        list(loader.epoch(0))


def test_shifted_images_are_the_images_moved():
    images = dl.data.digits(size=12).train.images[:40]
    rng = np.random.default_rng(0)
    moved, _ = dl.data.Shift(2)(images, None, rng)
    ways = set()
    for old, new in zip(images, moved, strict=True):
        framed = np.pad(old, ((2, 2), (2, 2), (0, 0)))
        found = [
            (y, x) for y in range(5) for x in range(5)
            if np.array_equal(framed[y : y + 12, x : x + 12], new)
        ]  # fmt: skip
        assert found
        ways.update(found)
    assert len(ways) > 10
