"""Guidance towards the real images of a class, without a classifier: Chamfer guidance (arXiv 2508.10631).

A cohort of images of one class is made together, and moves down the Chamfer distance of its features Y to those X of
real images of the class: mean_x min_y d(x, y), by which each real image is covered, + mean_y min_x d(y, x), by which
each image stays near a real one.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.shards.pixels import resized


def chamfer(x: Tensor, y: Tensor) -> Tensor:
    """The Chamfer distance of two sets of features (N, D) and (M, D), brought to length 1; d is Euclidean."""
    distances = torch.cdist(F.normalize(x, dim=1), F.normalize(y, dim=1))
    return distances.amin(1).mean() + distances.amin(0).mean()


class ChamferCriterion:
    """`value(images (B, 3, H, W), labels (B,), cohorts) -> (B,)`: less the Chamfer distance of each image's cohort.

    Its sum over a cohort has the gradient of the distance itself, however many images there are.
    """

    def __init__(
        self, embed: Callable[[Tensor], Tensor], real: Tensor, labels: np.ndarray, exemplars: int, size: int
    ) -> None:
        """embed: images to features (B, D), differentiable. real: features (N, D) of the real images of these labels
        (N,), of which every cohort draws `exemplars` of its class, or has all. size: pixels of stored images."""
        self.embed, self.real, self.exemplars, self.size = embed, real, exemplars, size
        self.places = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}

    def __call__(self, images: Tensor, labels: Tensor, cohorts: Sequence[int]) -> Tensor:
        """cohorts: a number of each image's, equal ones beside each other."""
        features, values = self.embed(resized(images, self.size, rounded=False)), []
        for cohort in dict.fromkeys(cohorts):
            members = [i for i, its in enumerate(cohorts) if its == cohort]
            distance = chamfer(self.drawn(int(labels[members[0]]), cohort), features[members])
            values.append((-distance.detach() - (distance - distance.detach()) / len(members)).expand(len(members)))
        return torch.cat(values)

    def drawn(self, label: int, cohort: int) -> Tensor:
        """The features (K, D) of the real images that a cohort is compared with."""
        if label not in self.places:
            raise InputError(
                f"class {label} has no real image that chamfer guidance could lead to; use another feedback"
            )
        places = self.places[label]
        if len(places) > self.exemplars:
            places = np.sort(numpy_generator("exemplars", cohort).choice(places, self.exemplars, replace=False))
        return self.real[torch.from_numpy(places).to(self.real.device)]
