"""How much memory there is, and that what would not fit is refused before it is tried."""

import os
import tracemalloc

import pytest

from pipelines import memory
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset


def test_memory_is_no_more_than_the_machine_has():
    assert 0 < memory.available_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_container_has_what_it_is_given(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("1048576\n")
    monkeypatch.setattr(memory, "_LIMITS", (str(limit), str(tmp_path / "absent")))
    assert memory.available_memory() == 2**20
    limit.write_text("max\n")
    assert memory.available_memory() > 2**20


def test_a_planted_set_that_would_not_fit_is_refused_before_it_is_made():
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"1,000,000 users and 10,000,000 items would take .*`planted_users`"):
            load_dataset(DataConfig(dataset="planted", planted_users=10**6, planted_items=10**7))
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_the_estimate_of_a_planted_set_is_below_what_it_takes(monkeypatch):
    """From below, so that nothing is refused that would fit."""
    asked = []
    monkeypatch.setattr("pipelines.readers.planted.require_memory", lambda needed, *told: asked.append(needed))
    tracemalloc.start()
    try:
        load_dataset(DataConfig(dataset="planted", planted_users=1500, planted_items=600))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / 3 < asked[0] < peak
