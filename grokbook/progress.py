"""A progress bar for a person, which scripts and tests turn off with TQDM_DISABLE=1."""

from tqdm.auto import tqdm


def bar(total, initial=0, show=True):
    """A bar that appears after a second and leaves nothing behind; a context manager with `.update()`."""
    # An explicit disable=False would override TQDM_DISABLE.
    hidden = {} if show else {"disable": True}
    return tqdm(total=total, initial=initial, delay=1, leave=False, **hidden)
