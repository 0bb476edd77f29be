"""DNS(M, N): which of the highest-scored candidates, and how often."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare
from toy import scores_of, toy_interactions, toy_trainer

from pipelines.errors import InputError

TRAIN = toy_interactions()


def test_draws_each_subset_of_the_highest_scored_alike():
    trainer, batch = toy_trainer(TRAIN, "dns_mn", group_size=2, num_candidates=7, top_candidates=4)
    # Distinct candidates, so that places can be told from items.
    items = [np.random.default_rng(user).permutation(TRAIN.num_items)[:7] for user in range(TRAIN.num_users)]
    batch = batch._replace(candidates=tf.constant(items, tf.int32))
    scores = scores_of(trainer.scorer, batch.users, items)
    draw = tf.function(lambda seed: trainer.sampler.select(batch._replace(seed=seed), trainer.scorer).negatives)
    rounds = [draw(tf.constant([7, n], tf.int64)).numpy() for n in range(300)]
    total = Counter()
    for row in range(TRAIN.num_users):
        rank = {item: place for place, item in enumerate(np.array(items[row])[np.argsort(-scores[row])])}
        total.update(tuple(sorted(rank[item] for item in drawn[row])) for drawn in rounds)
    assert set(total) == {(a, b) for a in range(4) for b in range(a + 1, 4)}
    assert chisquare(list(total.values())).pvalue > 1e-3


def test_all_candidates_or_only_as_many_as_needed():
    for top, same_as in ((4, "dns"), (12, None)):
        trainer, batch = toy_trainer(TRAIN, "dns_mn", top_candidates=top)
        drawn = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
        hardest = toy_trainer(TRAIN, "dns")[0].sampler.select(batch, trainer.scorer).negatives.numpy()
        assert (np.sort(drawn) == np.sort(hardest)).all() == (same_as == "dns")


def test_unset_it_draws_from_the_better_part_midway_from_the_group_to_all():
    trainer, batch = toy_trainer(TRAIN, "dns_mn", group_size=4, num_candidates=7)
    batch = batch._replace(candidates=tf.tile(tf.range(7)[None], [TRAIN.num_users, 1]))
    draw = tf.function(lambda seed: trainer.sampler.select(batch._replace(seed=seed), trainer.scorer).negatives)
    drawn = np.concatenate([draw(tf.constant([7, n], tf.int64)).numpy() for n in range(40)], axis=1)
    scores = scores_of(trainer.scorer, batch.users, batch.candidates)
    for row, of_user in enumerate(drawn):
        assert set(of_user) == set(np.argsort(-scores[row])[:5])


@pytest.mark.parametrize("top", [3, 13])
def test_too_few_or_too_many_are_refused(top):
    with pytest.raises(InputError, match=f"`top_candidates`={top} must lie between `group_size`=4 and"):
        toy_trainer(TRAIN, "dns_mn", top_candidates=top)
