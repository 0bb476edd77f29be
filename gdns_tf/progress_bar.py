"""Progress bars: on terminals and in notebooks, and nowhere else."""

import sys

from tqdm.auto import tqdm


def progress_bar(shown: bool = True, **options: object) -> tqdm:
    """A bar on standard error, or a widget in a notebook; silent where nobody looks, such as in a file.

    Args:
      shown: False for a bar that is never shown.
      options: of `tqdm`.
    """
    in_notebook = "ipykernel" in sys.modules  # where standard error is no terminal either
    disable = not shown or (False if in_notebook else None)
    return tqdm(disable=disable, dynamic_ncols=True, **options)
