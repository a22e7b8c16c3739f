"""What a filter of images asks: embeddings of all images and of the classes' prompts, by the generator's CLIP."""

import numpy as np
import torch
import torch.nn.functional as F

from src.classifiers.features import feature_batches
from src.data.filtering import Looks
from src.data.names import Names
from src.generators.loading import load
from src.runtime.processes import device
from src.settings.sections import Params
from src.shards.store import Shards
from src.synthesis.prompts import Prompts


def clip_looks(params: Params, names: Names, real: Shards, synthetic: Shards) -> Looks:
    """See `Looks`. InputError as for `load` and for `Prompts`."""
    generator = load(params.generator, device())
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    plain = [prompts.plain(label) for label in range(len(names.classes))]
    texts = generator.text_embeddings(plain) if params.merge.filter == "clip" else torch.zeros(len(plain), 1)

    def seen(shards: Shards) -> np.ndarray:
        batches = feature_batches(
            lambda x: F.normalize(generator.embed(x), dim=1), shards.images(), torch.float32, describe="filter"
        )
        return np.concatenate(list(batches))

    said = F.normalize(texts, dim=1).cpu().numpy()
    return Looks(seen(synthetic), synthetic.labels, seen(real), real.labels, said)
