"""Which gain table a run gets for how much memory: against sizes worked out by hand."""

import pytest

from gdns_tf.samplers import gain_table_config
from gdns_tf.samplers.gdns import GdnsConfig
from gdns_tf.samplers.gdns_tracked import GdnsTrackedConfig
from gdns_tf.training.config import TrainConfig
from pipelines.errors import InputError

USERS, ITEMS = 1000, 600
DENSE = 8 * USERS * ITEMS


@pytest.fixture
def memory(monkeypatch):
    """Sets how many bytes are free."""
    return lambda size: monkeypatch.setattr(gain_table_config, "memory_for_variables", lambda: (float(size), "memory"))


@pytest.mark.parametrize(
    ("free", "settings", "expected"),
    [
        (2 * DENSE, {}, ("dense", 0)),
        (2 * DENSE - 2, {}, ("bounded", 8 * ITEMS // 12 - 1)),  # 12 bytes a slot
        (2 * DENSE - 2, {"gain_cells": "float16"}, ("dense", 0)),
        (DENSE - 2, {"gain_cells": "bfloat16"}, ("bounded", ITEMS // 2 - 1)),  # 8 bytes a slot
        (DENSE, {"gain_memory_share": 1.0}, ("dense", 0)),
        (DENSE, {"gain_memory_share": 0.25}, ("bounded", ITEMS // 6)),
        (2 * 12 * USERS, {}, ("bounded", 1)),
        (100 * DENSE, {"gain_table": "bounded"}, ("bounded", ITEMS)),
        (DENSE, {"gain_table": "bounded"}, ("bounded", ITEMS // 3)),
        (DENSE, {"gain_table": "dense"}, ("dense", 0)),
        (DENSE, {"gain_table": "bounded", "gain_slots": 7}, ("bounded", 7)),
        (DENSE, {"gain_slots": 7}, ("auto", 7)),  # no matter of memory
        (DENSE, {"gain_slots": ITEMS}, ("auto", ITEMS)),
    ],
    ids=str,
)
def test_the_table_that_fits(free, settings, expected, memory):
    memory(free)
    settled = GdnsConfig(**settings).settled(USERS, ITEMS)
    assert (settled.gain_table, settled.gain_slots) == expected
    assert settled.table_bytes(USERS, ITEMS) <= free
    assert settled.settled(USERS, ITEMS) == settled
    memory(10 * free)
    assert settled.settled(USERS, ITEMS) == settled


@pytest.mark.parametrize(
    ("free", "config", "message"),
    [
        (
            DENSE - 1,
            GdnsConfig(gain_table="dense"),
            "1,000 users x 600 items takes .*`gain_table`=bounded.*float16",
        ),
        (DENSE - 1, GdnsConfig(gain_slots=ITEMS), "takes .* GiB, and the memory has .* free.*`gain_table`=bounded"),
        (12 * 50 * USERS - 1, GdnsConfig(gain_slots=50), "Lower `gain_slots`, or halve"),
        (
            2 * 8 * USERS - 1,
            GdnsConfig(gain_table="bounded", gain_cells="float16"),
            "hold no gain table of 1,000 users",
        ),
        (DENSE - 1, GdnsTrackedConfig(), "takes .*Choose another `sampler`, or halve its cells"),
        (DENSE // 2 - 1, GdnsTrackedConfig(gain_cells="bfloat16"), r"takes .*Choose another `sampler`\.$"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(free, config, message, memory):
    memory(free)
    with pytest.raises(InputError, match=message):
        config.settled(USERS, ITEMS)
    memory(free + 6 * USERS + 1)
    config.settled(USERS, ITEMS)


def test_one_line_tells_what_was_chosen(memory, caplog):
    caplog.set_level("INFO", "gdns_tf")
    for free, level in ((2 * DENSE, "INFO"), (DENSE, "WARNING")):
        caplog.clear()
        memory(free)
        settled = GdnsConfig().settled(USERS, ITEMS)
        settled.settled(USERS, ITEMS)
        GdnsConfig(gain_slots=5).settled(USERS, ITEMS)
        (record,) = caplog.records
        assert (record.levelname, "dense" in record.message) == (level, True)
    assert "`gain_slots`=200 of 600 items" in record.message


def test_other_samplers_ask_for_nothing(memory):
    memory(0)
    for settings in ({"sampler": "uniform"}, {"objective": "multinomial", "sampler": "gdns"}, {"sampler": "srns"}):
        config = TrainConfig.from_settings(**settings)
        assert config.settled(USERS, ITEMS) == config


@pytest.mark.parametrize(
    ("asked", "settled_then", "goes_on_as"),
    [
        ({}, {"gain_table": "dense"}, ("dense", 0)),
        ({}, {"gain_table": "bounded", "gain_slots": 9}, ("bounded", 9)),
        ({"gain_table": "bounded"}, {"gain_table": "bounded", "gain_slots": 9}, ("bounded", 9)),
        ({"gain_table": "bounded"}, {"gain_table": "dense"}, ("bounded", 0)),
        ({"gain_slots": 5}, {"gain_table": "bounded", "gain_slots": 9}, ("auto", 5)),
        ({"gain_table": "dense"}, {"gain_table": "bounded", "gain_slots": 9}, ("dense", 0)),
        ({}, {"gain_slots": 9}, ("auto", 0)),
        ({}, {}, ("dense", 0)),  # of a version that knew no other
    ],
    ids=str,
)
def test_going_on(asked, settled_then, goes_on_as):
    settled = GdnsConfig(**asked).settled_as(GdnsConfig(**settled_then))
    assert (settled.gain_table, settled.gain_slots) == goes_on_as


@pytest.mark.parametrize(
    ("sampler", "settings", "message"),
    [
        ("gdns", {"gain_table": "dense", "gain_slots": 3}, "`gain_slots`=3 does not go with `gain_table`=dense"),
        ("gdns_tracked", {"gain_table": "bounded"}, "`gain_table`=bounded does not go with `sampler`=gdns_tracked"),
        ("gdns_tracked", {"gain_slots": 3}, "`gain_slots`=3 does not go with `sampler`=gdns_tracked"),
        ("gdns", {"gain_memory_share": 0.0}, "`gain_memory_share`=0.0 must be above 0"),
        ("gdns", {"gain_cells": "float8"}, "`gain_cells`=float8 is not known"),
    ],
)
def test_settings_that_do_not_go_together(sampler, settings, message):
    with pytest.raises(InputError, match=message):
        TrainConfig.from_settings(sampler=sampler, **settings)
