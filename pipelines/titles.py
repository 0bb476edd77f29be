"""Item titles as arrays."""

from collections.abc import Iterable

import numpy as np

from pipelines.notices import notices
from pipelines.raw_ids import text_array

MAX_TITLE_CHARACTERS = 1000
"""A title is there to be shown, in a list or beside a point; the longest that shops take have 500."""


def title_array(titles: Iterable[str], source: object) -> np.ndarray:
    """[num_items] titles, those that are too long cut, of which a notice tells.

    Args:
      titles: as the source has them.
      source: the file, for the notice.
    """
    whole = list(titles)
    if long := sum(len(title) > MAX_TITLE_CHARACTERS for title in whole):
        notices.warning(f"{source}: {long:,} title(s) are cut to their first {MAX_TITLE_CHARACTERS:,} characters.")
    return text_array(title[:MAX_TITLE_CHARACTERS] for title in whole)
