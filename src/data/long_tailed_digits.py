"""The default data set: real digits in disjoint splits, of which training keeps a long tail."""

import numpy as np

from src.data.digits import CLASS_NAMES, posed_digits, reserved_for_test
from src.data.imbalance import exponential_counts
from src.data.prepared_data import ImageSource, PreparedData
from src.data.splits import long_tail, split_per_class
from src.runtime.seeds import numpy_generator
from src.settings.dataset_settings import DigitsSettings


def load_digits(settings: DigitsSettings, seed: int) -> PreparedData:
    """scikit-learn's digits, each in one random pose, with an exponential profile from head_count down.

    The test digits are the same under every seed, in other poses, and no other split ever has them.
    Raises InputError for more images than there are, and for a profile that leaves a class empty.
    """
    images, labels = posed_digits(settings.image_size, settings.pose, numpy_generator("pose", seed))
    reserved = reserved_for_test(labels, settings.test_per_class)
    test = np.sort(np.concatenate([members[: settings.test_per_class] for members in reserved.values()]))
    rest = np.setdiff1d(np.arange(len(labels)), np.concatenate(list(reserved.values())))
    parts = split_per_class(labels[rest], 0, settings.val_per_class, numpy_generator("split", seed))
    pool = rest[parts["train"]]
    counts = exponential_counts(settings.head_count, len(CLASS_NAMES), settings.imbalance_factor)
    chosen = {
        "train": long_tail(labels, pool, counts, numpy_generator("long tail", seed)),
        "val": rest[parts["val"]],
        "test": test,
        "pool": pool,
    }
    digits = ImageSource(tuple(f"digits/{i}" for i in range(len(labels))), labels, lambda i: images[i])
    return PreparedData({name: digits.subset(index) for name, index in chosen.items()}, CLASS_NAMES)
