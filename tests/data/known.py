"""What is known of images that are nowhere."""

from typing import NamedTuple

import numpy as np


class Known(NamedTuple):
    """Labels and contexts, as `Shards` have them."""

    labels: np.ndarray
    contexts: np.ndarray | None = None
