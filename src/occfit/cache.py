"""Where what is computed once is kept."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """The folder of finished face models, prepared data and training stages: $OCCFIT_CACHE, else ~/.cache/occfit.

    The folder need not exist yet. Everything in it can be deleted at any time; it is made again.
    """
    return Path(os.environ.get("OCCFIT_CACHE") or Path.home() / ".cache" / "occfit").expanduser()
