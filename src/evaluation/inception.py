"""Inception-v3 as FID's authors used it (Heusel et al., NeurIPS 2017), in the form that torch-fidelity made of it.

The network, its TensorFlow-like resampling to 299 pixels and its (x - 128) / 128 are torch-fidelity's; only the reading
of the file is ours, because torch-fidelity would unpickle whatever it holds.
"""

import io
from pathlib import Path
from textwrap import shorten

import torch
from safetensors.torch import load_file
from torch import Tensor

from src.classifiers.features import Extractor
from src.runtime.errors import InputError

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
CURE = (
    f"put torch-fidelity's {WEIGHTS}, or pytorch-fid's pt_inception-2015-12-05-6726825d.pth, there, or set "
    "evaluation.inception.path to it"
)


def inception(path: str, device: torch.device) -> Extractor:
    """Return (B, 3, H, W) in [-1, 1] -> the 2048 features before the classifier, float32 (B, 2048).

    path: weights under the names of torchvision's Inception-v3 with 1008 classes, as both packages have them; .pth or
    .safetensors. The images must stem from bytes, to which they are turned back. InputError if the file is missing,
    damaged, or holds something else.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"the Inception weights {path} are missing; {CURE}")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        weights = load_file(file) if file.suffix == ".safetensors" else _load_weights(file)
        # torch-fidelity reads a file only; this one is in memory and ours, so that unpickling it is safe.
        buffer = io.BytesIO()
        torch.save(weights, buffer)
        buffer.seek(0)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], buffer)
    except Exception as error:  # of the file system, pickle, zip, safetensors or the network's shapes
        reason = shorten((str(error).strip().splitlines() or [type(error).__name__])[0], 120, placeholder=" ...")
        raise InputError(f"{path} holds no Inception-v3 of torch-fidelity or pytorch-fid ({reason}); {CURE}") from error
    network.to(device)

    def embed(x: Tensor) -> Tensor:
        return network(x.to(device).add(1).mul(127.5).round().to(torch.uint8))[0]

    return embed


def _load_weights(file: Path) -> dict[str, Tensor]:
    weights = torch.load(file, map_location="cpu", weights_only=True)
    # Converted files may lack the counters of batch normalisation, which are not used in evaluation.
    return {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
