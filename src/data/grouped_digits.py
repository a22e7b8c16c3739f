"""Group benchmarks from real digits: each is painted in one context, and classes and contexts go together in training.

Nothing is downloaded.
"""

import numpy as np

from src.data.context_groups import in_contexts
from src.data.digit_contexts import CONTEXTS, paint
from src.data.digits import CLASS_NAMES, posed_digits, reserved_for_test
from src.data.prepared_data import PreparedData
from src.runtime.choices import choose
from src.runtime.seeds import numpy_generator
from src.settings.dataset_settings import GroupedSettings

LABELS = {name: label for label, name in enumerate(CLASS_NAMES)}


def load_grouped_digits(settings: GroupedSettings, seed: int) -> PreparedData:
    """scikit-learn's digits in one pose and one context each, and in test the same ones under every seed.

    Raises InputError for a context that is not in CONTEXTS, a class that is no digit, or more images than there are.
    """
    for context in settings.contexts:
        choose("context", CONTEXTS, context)
    images, digits = posed_digits(settings.image_size, settings.pose, numpy_generator("pose", seed))
    tested, members, count = {}, {}, len(settings.contexts) * settings.test_per_group
    reserved = reserved_for_test(digits, count)
    for name in settings.train:
        label = choose(f"class of {settings.preset}.train", LABELS, name)
        generator = numpy_generator("groups", seed, label)
        tested[name] = generator.permutation(reserved[label][:count])
        members[name] = generator.permutation(np.setdiff1d(np.flatnonzero(digits == label), reserved[label]))

    def show(number: int, context: str) -> np.ndarray:
        return paint(images[number], context, numpy_generator("paint", seed, number))

    return in_contexts(settings, tested, members, show)
