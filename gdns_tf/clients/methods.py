"""What can be asked of a model, wherever it is: the methods that `Recommender` and `gdns_tf.Model` share."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from gdns_tf.clients import frames
from gdns_tf.clients.signatures import Signatures
from pipelines.notices import notices

if TYPE_CHECKING:
    import pandas as pd


class RecommendMethods:
    """Recommendations as pandas DataFrames, with a row for each item. A subclass has `signatures`.

    Users and items go by the raw ids of the data. `title` is None where none is known.
    """

    signatures: Signatures
    """The same calls with answers in arrays, for programs."""

    def recommend(
        self,
        users: Sequence,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        exclude: Collection = (),
        restrict_to: Collection = (),
        why: int = 0,
        mmr: float = 0.0,
        probes: int = 0,
    ) -> "pd.DataFrame":
        """The best items for users; popular ones for users that the model does not know.

        Users who had too few items to be trained on are known by those, and served as by `recommend_by_history`.

        Args:
          users: ids.
          k: items for each; fewer come back where fewer are eligible.
          exclude_seen: leave out the items that the user is known to have.
          exclude: item ids to leave out, for all of the users.
          restrict_to: if not empty, the only item ids to choose from.
          why: for each item, how many items of the user's history to name that add most to its score. Where users are
            the sums of their histories (`scorer="history"`) what all of a history's items add is the score itself; of
            other models it is an approximation: see `explain` in gdns_tf/serving/README.md.
          mmr: how much a list avoids items that are alike, from 0, not at all, to 1, nothing else counts: maximal
            marginal relevance among the 100 best. Lists are then not in the order of scores. About 0.3 is a start.
          probes: of an exported model with an index (`--index=ivf`), how many cells of the catalogue to look into; 0:
            all items, exactly.

        Returns:
          Columns user, rank (from 1), item, title, score and known: whether the model knows the user. With `why` also
          because and contributions: lists of item ids, and of what each adds to the score.

        Raises:
          gdns_tf.clients.InvalidRequest: an id is not of the model's type, or one stands in place of a list.

        Example:
          model.recommend([42, 7], k=3, exclude=[260])
        """
        return frames.frame_of_users(
            self.signatures.recommend(
                users,
                k,
                exclude_seen=exclude_seen,
                exclude=exclude,
                restrict_to=restrict_to,
                why=why,
                mmr=mmr,
                probes=probes,
            )
        )

    def recommend_by_history(self, histories: Sequence[Collection], k: int = 10) -> "pd.DataFrame":
        """The best items for users who are not in the model, by what they have, without training again.

        Args:
          histories: lists of item ids, of any length. A history without known items gets popular ones.
          k: items for each.

        Returns:
          Columns history (its place in the list, from 0), rank (from 1), item, title, score, known (whether the model
          knows any of the history's items) and num_unknown: how many it does not know.

        Raises:
          gdns_tf.clients.InvalidRequest: as for `recommend`.

        Example:
          model.recommend_by_history([[260, 1196]], k=3)
        """
        return frames.frame_of_histories(self.signatures.recommend_by_history(histories, k))

    def similar_items(self, items: Sequence, k: int = 10) -> "pd.DataFrame":
        """The items most like others. Those that the model does not know have no rows, and a warning names them.

        Args:
          items: ids.
          k: how many for each.

        Returns:
          Columns query_item, rank (from 1), item, title and score.

        Raises:
          gdns_tf.clients.InvalidRequest: as for `recommend`.

        Example:
          model.similar_items([260], k=3)
        """
        answer = self.signatures.similar_items(items, k)
        if unknown := answer.queries[~answer.known].tolist():
            notices.warning("The model does not know item(s) %s: nothing is similar.", ", ".join(map(str, unknown)))
        return frames.frame_of_items(answer)

    def rank(self, users: Sequence, items: Sequence) -> "pd.DataFrame":
        """Scores of given items, in the given order.

        Args:
          users: ids.
          items: ids, the same for all users, or a list of ids for each user, all of one length.

        Returns:
          Columns user, item, title, score (NaN for an item that the model does not know) and known: whether it knows
          the user; the scores of an unknown one are the items' popularity.

        Raises:
          gdns_tf.clients.InvalidRequest: as for `recommend`.

        Example:
          model.rank([42], [260, 1196])
        """
        return frames.frame_of_ranking(self.signatures.rank(users, items))
