"""The profile of a step: times are those of the trace, and a real trace has the operations that a step must have."""

import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2
from toy import toy_interactions

from gdns_tf.benchmarks.profile import DRAWS, STEP, ProfileConfig, measure, operations_of


def test_operations_are_added_up_by_kind_and_part_without_what_lies_within_them():
    space = xplane_pb2.XSpace()
    plane = space.planes.add(name="/host:CPU")
    for number, name in enumerate(("a/b:MatMul", "c:MatMul", "d:Cast", "ParallelFor", "Executor::Process")):
        plane.event_metadata[number].name = name
    ms = 10**9
    for line, events in {
        "tf_Compute/1": [(0, 0, 4), (3, 1, 2), (2, 1, 3), (4, 5, 1), (2, 6, 1)],  # the Cast at 1 is the MatMul's
        "tf_Compute/2": [(1, 0, 2)],
        "tf_data_private_threadpool/3": [(2, 0, 8)],
    }.items():
        on_line = plane.lines.add(name=line)
        for number, start, duration in events:
            on_line.events.add(metadata_id=number, offset_ps=start * ms, duration_ps=duration * ms)
    assert operations_of(space, steps=2) == {
        STEP: {"MatMul": (3.0, 1.0), "Cast": (0.5, 0.5)},
        DRAWS: {"Cast": (4.0, 0.5)},
    }


def test_a_profile_of_a_run_has_the_step_and_the_draws():
    steps = 40  # one an epoch
    profile = measure(toy_interactions(), ProfileConfig(sampler="gdns", epochs=steps))
    assert profile.wall > 0
    assert profile.cpu > 0
    ms, calls = profile.operations[STEP]["TopKV2"]  # which chooses the negatives, once a step
    assert ms > 0
    assert calls == pytest.approx(1.0)
    # Draws run ahead of the step, so those of a few steps fall before or after the trace.
    ahead = 4 + 2  # prefetched and under way
    assert profile.operations[DRAWS]["StatelessRandomUniformFullIntV2"][1] >= (steps - ahead) / steps
