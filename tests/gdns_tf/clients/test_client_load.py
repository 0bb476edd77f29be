"""Two thousand requests at once, a quarter of them malformed, while versions are swapped; see load.py for more."""

from load import run_load

MALFORMED_GRPC, MALFORMED_REST = 17, 13


def test_every_answer_is_right_and_every_bad_request_refused(tmp_path):
    figures = run_load(tmp_path, num_requests=2000, num_threads=24, swap_seconds=0.5)
    assert figures.wrong == []
    assert figures.failed == []
    assert sum(figures.answers.values()) + sum(figures.refusals.values()) == 2000
    assert len({version for protocol, version in figures.answers if protocol == "grpc"}) >= 2, "no version was swapped"
    statuses = {(protocol, kind): status for protocol, kind, status in figures.refusals}
    assert len(statuses) == len(figures.refusals) == MALFORMED_GRPC + MALFORMED_REST
    for (protocol, kind), status in statuses.items():
        special = {"unknown model": "NOT_FOUND", "unknown signature": "FAILED_PRECONDITION"}  # as TF Serving says
        if protocol == "grpc":
            assert status == special.get(kind, "INVALID_ARGUMENT"), kind
        else:
            assert status == ("HTTP 404" if kind == "unknown model" else "HTTP 400"), kind
