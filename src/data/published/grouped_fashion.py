"""A group benchmark from Fashion-MNIST: each photograph in one style, and classes and styles go together in training.

Splits are cut as those of `src.data.published.fashion`: no photograph in two of them, and none of a generator's.
"""

import numpy as np
import torch

from src.data.context_groups import in_contexts
from src.data.digit_contexts import INKS
from src.data.pose import draw_poses
from src.data.prepared_data import PreparedData
from src.data.published.fashion import first_of, framed
from src.data.published.fashion_files import CLASSES
from src.data.published.fashion_styles import STYLES, styled
from src.runtime.choices import choose
from src.runtime.seeds import numpy_generator
from src.settings.dataset_settings import GroupedFashionSettings

LABELS = {name: label for label, name in enumerate(CLASSES)}


def load_grouped_fashion(settings: GroupedFashionSettings, seed: int) -> PreparedData:
    """Photographs in one style each; those of val and test are the same under every seed, in other styles.

    Raises InputError for a context that is not in STYLES, an unknown class, or more images than there are.
    """
    for context in settings.contexts:
        choose("context", dict.fromkeys(STYLES), context)
    validated, tests = (len(settings.contexts) * each for each in (settings.val_per_group, settings.test_per_group))
    trains = validated + settings.pool_per_class
    training, test = first_of(settings, "train", trains), first_of(settings, "test", tests)
    photographs = np.concatenate([training, test], axis=1)  # (10, n, SIDE, SIDE)
    each = photographs.shape[1]
    tested, members = {}, {}
    for name in settings.train:
        label = choose(f"class of {settings.preset}.train", LABELS, name)
        generator = numpy_generator("groups", seed, label)
        parts = (np.arange(validated), np.arange(validated, trains), np.arange(trains, each))
        val, pool, tested[name] = (generator.permutation(label * each + part) for part in parts)
        members[name] = np.concatenate([val, pool])

    def show(number: int, context: str) -> np.ndarray:
        generator = numpy_generator("style", seed, number)
        thing = torch.from_numpy(framed(photographs.reshape(-1, *photographs.shape[2:])[number]))[None, None] / 255
        colour, poses = generator.integers(-1, len(INKS), 1), draw_poses(1, settings.pose, generator)
        image = styled(context, thing, colour, poses, generator)[0].expand(3, -1, -1)
        return np.asarray((image * 255).round().to(torch.uint8).permute(1, 2, 0))

    return in_contexts(settings, tested, members, show)
