"""DataFrames: what stands in them, against the arrays they are made of and a NumPy brute force."""

import numpy as np
import pandas as pd
import pytest

from gdns_tf.clients import InvalidRequest, NotFound, Recommender, ServingError

UNKNOWN = {"int64": 77, "string": "nobody"}
DTYPES = {"rank": np.int64, "history": np.int64, "title": object, "score": np.float32, "known": bool}


@pytest.fixture
def recommender(in_process, id_type):
    return in_process[id_type]


@pytest.fixture
def unknown(id_type):
    return UNKNOWN[id_type]


def assert_columns(frame, id_type, *names):
    """The columns, in their order, of their dtypes, also where there are no rows."""
    ids = np.dtype(np.int64 if id_type == "int64" else object)
    dtypes = {name: np.dtype(dtype) for name, dtype in DTYPES.items()}
    dtypes |= {"user": ids, "item": ids, "query_item": ids, "num_unknown": np.dtype(np.int32)}
    assert frame.dtypes.to_dict() == {name: dtypes[name] for name in names}
    assert list(frame.columns) == list(names)
    assert frame.index.equals(pd.RangeIndex(len(frame)))


def test_recommend(recommender, oracle, id_type, unknown):
    users = [oracle.user_ids[3], unknown, oracle.user_ids[0]]
    frame = recommender.recommend(users, 4)
    assert_columns(frame, id_type, "user", "rank", "item", "title", "score", "known")
    assert list(frame.itertuples(index=False, name=None)) == [
        (user, rank, item, oracle.titles[item], score, user != unknown)
        for user in users
        for rank, (item, score) in enumerate(oracle.recommend(user, 4), start=1)
    ]


def test_recommend_takes_what_pandas_has_and_passes_all_options_on(recommender, oracle):
    users, items = pd.Series(oracle.user_ids[:5]), pd.Index(oracle.item_ids[:60])
    options = {"exclude_seen": False, "exclude": oracle.item_ids[:9], "restrict_to": items}
    frame = recommender.recommend(users, k=7, **options)
    assert len(frame) == 35
    for user, part in frame.groupby("user"):
        assert list(zip(part["item"], part["score"], strict=True)) == oracle.recommend(user, 7, **options)


def test_users_with_nothing_left_have_no_rows(recommender, oracle, id_type, unknown):
    for nothing in (recommender.recommend(oracle.user_ids[:2], restrict_to=[unknown]), recommender.recommend([])):
        assert nothing.empty
        assert_columns(nothing, id_type, "user", "rank", "item", "title", "score", "known")
    one = recommender.recommend(oracle.user_ids[:2], 3, exclude_seen=False, restrict_to=oracle.item_ids[4:5])
    assert one["item"].tolist() == oracle.item_ids[4:5] * 2
    assert one["rank"].tolist() == [1, 1]


def test_recommend_by_history(recommender, oracle, id_type, unknown):
    histories = [oracle.item_ids[3:6], [], [unknown, oracle.item_ids[9]]]
    frame = recommender.recommend_by_history(histories, 5)
    names = ("history", "rank", "item", "title", "score", "known", "num_unknown")
    assert_columns(frame, id_type, *names)
    assert frame["history"].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert frame["rank"].tolist() == [1, 2, 3, 4, 5] * 3
    assert frame["known"].tolist() == [True] * 5 + [False] * 5 + [True] * 5
    assert frame["num_unknown"].tolist() == [0] * 10 + [1] * 5
    popular = frame[frame["history"] == 1]
    assert list(zip(popular["item"], popular["score"], strict=True)) == oracle.recommend(unknown, 5)
    arrays = recommender.signatures.recommend_by_history(histories, 5)
    assert frame["item"].tolist() == arrays.items.ravel().tolist()
    np.testing.assert_array_equal(frame["score"], arrays.scores.ravel())
    assert_columns(recommender.recommend_by_history([]), id_type, *names)


def test_similar_items(recommender, oracle, id_type, unknown, caplog):
    queries = [oracle.item_ids[7], unknown, oracle.item_ids[2]]
    frame = recommender.similar_items(queries, 6)
    names = ("query_item", "rank", "item", "title", "score")
    assert_columns(frame, id_type, *names)
    assert frame["query_item"].tolist() == [queries[0]] * 6 + [queries[2]] * 6
    assert caplog.messages == [f"The model does not know item(s) {unknown}: nothing is similar."]
    weighed = oracle.factors.items.astype(np.float64) * oracle.factors.dimension_weights
    unit = weighed / np.maximum(np.linalg.norm(weighed, axis=1, keepdims=True), 1e-30)
    for number in (7, 2):
        part = frame[frame["query_item"] == oracle.item_ids[number]]
        cosines = unit @ unit[number]
        cosines[number] = -np.inf
        np.testing.assert_allclose(part["score"], np.sort(cosines)[::-1][:6], rtol=1e-5)
        found = [oracle.item_ids.index(item) for item in part["item"]]
        np.testing.assert_allclose(part["score"], cosines[found], rtol=1e-5)
    assert_columns(recommender.similar_items([unknown]), id_type, *names)
    caplog.clear()
    recommender.similar_items(queries[:1])
    assert not caplog.messages


def test_rank(recommender, oracle, id_type, unknown):
    users, items = [oracle.user_ids[5], unknown], [oracle.item_ids[9], unknown, oracle.item_ids[1], oracle.item_ids[9]]
    frame = recommender.rank(users, items)
    assert_columns(frame, id_type, "user", "item", "title", "score", "known")
    assert frame["user"].tolist() == [users[0]] * 4 + [unknown] * 4
    assert frame["item"].tolist() == items * 2
    assert frame["title"].tolist() == [oracle.titles.get(item) for item in items] * 2
    assert frame["known"].tolist() == [True] * 4 + [False] * 4
    scores = np.concatenate([oracle.scores(user)[[9, 0, 1, 9]] for user in users])
    scores[[1, 5]] = np.nan
    np.testing.assert_array_equal(frame["score"], scores)
    own = recommender.rank(users, [items[:2], items[2:]])
    assert own["item"].tolist() == items
    np.testing.assert_array_equal(own["score"], scores[[0, 1, 6, 7]])
    for nothing in (recommender.rank([], items), recommender.rank(users, [])):
        assert_columns(nothing, id_type, "user", "item", "title", "score", "known")
        assert nothing.empty


def test_titles_are_those_of_the_export_unless_others_are_given(recommender, oracle):
    item, user = oracle.item_ids[0], oracle.user_ids[:1]
    ask = {"k": 1, "restrict_to": [item], "exclude_seen": False}
    assert recommender.recommend(user, **ask)["title"].tolist() == [oracle.titles[item]]
    assert recommender.with_titles({item: "Mine"}).recommend(user, **ask)["title"].tolist() == ["Mine"]
    assert recommender.with_titles({}).recommend(user, **ask)["title"].tolist() == [None]


def test_a_single_id_in_place_of_a_list(recommender):
    for ask in (recommender.recommend, recommender.similar_items, lambda one: recommender.rank(one, [])):
        with pytest.raises(InvalidRequest, match=r"a list of .* ids is needed, not 5"):
            ask(5)
    with pytest.raises(InvalidRequest, match="histories must be lists of item ids, one for each user"):
        recommender.recommend_by_history([5])


def test_a_server_answers_with_the_same_frames(servers, recommender, oracle, id_type):
    with Recommender.from_rest(servers[id_type].rest_address, titles=oracle.titles) as remote:
        users, items = oracle.user_ids[:4], oracle.item_ids[:3]
        pd.testing.assert_frame_equal(remote.recommend(users, 12), recommender.recommend(users, 12))
        pd.testing.assert_frame_equal(remote.rank(users, items), recommender.rank(users, items))


def test_newest_version_or_a_given_one(models, tmp_path):
    folder, _ = models["int64"]
    for version in ("9", "10", ".unfinished-11", "12"):
        (tmp_path / version).symlink_to(folder / "1") if version != "12" else (tmp_path / version).mkdir()
    recommender = Recommender.from_saved_model(tmp_path)
    assert recommender.signatures.backend.folder.name == "10"
    assert Recommender.from_saved_model(tmp_path / "9").signatures.backend.folder.name == "9"


def test_no_model_there(tmp_path):
    with pytest.raises(NotFound, match=r"there is no such folder\. Write one with: python -m gdns_tf\.export"):
        Recommender.from_saved_model(tmp_path / "none")
    with pytest.raises(NotFound, match="there is no SavedModel in it"):
        Recommender.from_saved_model(tmp_path)


def test_damaged_model(models, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes((models["int64"][0] / "1/saved_model.pb").read_bytes()[:500])
    with pytest.raises(ServingError, match=f"{tmp_path}: cannot be loaded"):
        Recommender.from_saved_model(tmp_path)
