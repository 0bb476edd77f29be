"""`start.npz`, whatever has become of it."""

import contextlib

import numpy as np
import pytest

from gdns_tf.runs.start import Start, read_start
from pipelines.errors import InputError


def test_a_start_that_is_damaged_anywhere_is_said(tmp_path):
    path = tmp_path / "start.npz"
    Start({"P": np.arange(40, dtype=np.float32)}, {"run": "x"}).save(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with contextlib.suppress(InputError):  # of what does not matter there is nothing to say
            assert read_start(path).told == {"run": "x"}
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="weights that a run began from, or damaged"):
        read_start(path)
