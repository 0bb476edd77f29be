"""Which of two lists of raw ids are the same: those of yesterday's users in today's data, and the like."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.raw_ids import as_text, is_text


@dataclass(frozen=True)
class IdMatch:
    """The ids that stand in two lists, the former and the one of now."""

    former: np.ndarray
    """[n] int64: places in the former list of the ids that stand in both."""
    now: np.ndarray
    """[n] int64: places of the same ids in the list of now."""
    num_former: int
    num_now: int

    @property
    def taken(self) -> int:
        """How many ids stand in both."""
        return len(self.now)

    @property
    def new(self) -> int:
        return self.num_now - self.taken

    @property
    def gone(self) -> int:
        return self.num_former - self.taken

    @property
    def places(self) -> np.ndarray:
        """[num_former] int64: where each former id stands now, -1 for those that are gone."""
        places = np.full(self.num_former, -1)
        places[self.former] = self.now
        return places


def match_ids(former: np.ndarray, now: np.ndarray) -> IdMatch:
    """Matches ids, of which none stands twice in a list.

    A list of integers and one of texts are matched as text: one id that is no number makes a whole column text (see
    `pipelines.readers.ids`), and 42 is then "42". So 7 and "007" stay two ids.

    Args:
      former: [num_former] int64 or text.
      now: [num_now] int64 or text.
    """
    if of_other_types(former, now):
        former, now = as_text(former), as_text(now)
    place = pd.Index(now, dtype=now.dtype).get_indexer(former)
    at_former = np.flatnonzero(place >= 0)
    return IdMatch(at_former, place[at_former], len(former), len(now))


def of_other_types(former: np.ndarray, now: np.ndarray) -> bool:
    """Whether one list is of text and the other is not."""
    return is_text(former) != is_text(now)
