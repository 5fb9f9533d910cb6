"""A progress bar for a person, which scripts and tests turn off with TQDM_DISABLE=1."""

import os

from tqdm.auto import tqdm


def bar(total, initial=0, show=True):
    """A bar that appears after a second and leaves nothing behind; a context manager with `.update()`."""
    # In a notebook tqdm itself does not look at TQDM_DISABLE.
    hidden = not show or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    return tqdm(total=total, initial=initial, delay=1, leave=False, disable=hidden)
