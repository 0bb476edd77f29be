"""All users of MovieLens-1M, with SRNS's published weights, in a process that has nothing but TensorFlow."""

import numpy as np
import pytest
from brute_force import NEAR, unseen
from planted_runs import make_run

from gdns_tf.models.weights_file import load_weights
from gdns_tf.serving.export import export_run
from pipelines.config import DataConfig
from pipelines.load import load_dataset

K = 20
USERS_A_REQUEST = 1024


@pytest.fixture(scope="module")
def served(shared_data, tmp_path_factory):
    data = DataConfig(dataset="srns", data_dir=str(shared_data / "srns/ml1m"))
    dataset = load_dataset(data)
    factors = load_weights(shared_data / "srns/weights/srns.npz").factors(dataset.train)
    run = make_run(tmp_path_factory.mktemp("ml1m") / "run", data, dataset, factors)
    return export_run(run, run.parent / "models", k=K, split=dataset), dataset, factors


def test_the_top_k_of_every_user_is_that_of_brute_force(served, ask_alone):
    folder, dataset, factors = served
    train = dataset.train
    blocks = np.split(train.user_ids, range(USERS_A_REQUEST, train.num_users, USERS_A_REQUEST))
    answers = ask_alone([(folder, "serving_default", {"user_ids": block}) for block in blocks])
    raw, given = (np.concatenate([answer[name] for answer in answers]) for name in ("item_ids", "scores"))
    assert raw.shape == (train.num_users, K) == (6028, 20)
    by_id = np.argsort(train.item_ids)
    numbers = by_id[np.searchsorted(train.item_ids, raw, sorter=by_id)]
    np.testing.assert_array_equal(train.item_ids[numbers], raw)

    scores = factors.queries.astype(np.float64) @ factors.items.T.astype(np.float64)
    tolerance = NEAR * np.abs(scores).max(axis=1, keepdims=True)
    assert (np.abs(np.take_along_axis(scores, numbers, axis=1) - given) <= tolerance).all()
    different = 0
    for user in range(train.num_users):
        eligible = unseen(dataset, user)
        assert eligible[numbers[user]].all()
        expected = np.argsort(np.where(eligible, -scores[user], np.inf), kind="stable")[:K]
        if (wrong := expected != numbers[user]).any():  # only where float32 cannot tell the two apart
            different += 1
            gaps = np.abs(scores[user, expected[wrong]] - scores[user, numbers[user, wrong]])
            assert (gaps <= tolerance[user]).all()
    assert different <= 0.002 * train.num_users
    print(f"{different} of {train.num_users} users have a near-tie that float32 orders otherwise than float64")
