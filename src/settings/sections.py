"""What params.yaml may say, part by part; its comments there hold units and sources, and every default.

Limits that need more than the value itself stand where the value is used, and so do the names of choices (which loss,
which criterion): a table of functions there knows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.settings.recipe import Recipe
from src.settings.schema import Range, Section

Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]


@dataclass(frozen=True)
class PoseRange(Section):
    """Uniform ranges: rotation and shear in degrees (+-), scale as a factor, shift in pixels (+-)."""

    rotation: float
    scale_min: float
    scale_max: float
    shift: float
    shear: float

    def __post_init__(self) -> None:
        if not 0 < self.scale_min <= self.scale_max:
            raise InputError(
                f"pose scale must satisfy 0 < scale_min <= scale_max, not {self.scale_min} and {self.scale_max}."
            )
        if min(self.rotation, self.shift, self.shear) < 0 or self.shear >= 80:
            raise InputError(
                "pose rotation, shift and shear are half-ranges: zero or positive, shear below 80 degrees."
            )


@dataclass(frozen=True, kw_only=True)
class DatasetSettings(Section):
    """What all kinds of data sets have. name: the preset's; image_size: of stored images, pixels."""

    kind: str
    image_size: Annotated[int, Range(8, 4096)]
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class DigitsSettings(DatasetSettings):
    """See `src.data.long_tailed_digits`. All 1,797 images are held at once."""

    image_size: Annotated[int, Range(8, 512)]
    head_count: Count
    imbalance_factor: float
    test_per_class: Count
    val_per_class: Count
    pose: PoseRange


@dataclass(frozen=True, kw_only=True)
class GroupedDigitsSettings(DatasetSettings):
    """See `src.data.grouped_digits`. train: of each class the training images in each context."""

    image_size: Annotated[int, Range(8, 512)]
    contexts: tuple[str, ...]
    train: dict[str, tuple[int, ...]]
    test_per_group: Count
    val_per_group: Count
    pose: PoseRange


@dataclass(frozen=True, kw_only=True)
class FileDatasetSettings(DatasetSettings):
    """Data that lie in files. path: of them; None is data/raw/<name>."""

    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class LongTail(Section):
    """An exponential profile to be cut from an own data set."""

    head_count: Count
    imbalance_factor: float


@dataclass(frozen=True, kw_only=True)
class FolderSettings(FileDatasetSettings):
    """An own folder of images. The fractions are of each class, where the folder has no such split."""

    val_fraction: float
    test_fraction: float
    skip_unreadable: bool
    long_tail: LongTail | None = None


@dataclass(frozen=True, kw_only=True)
class CsvSettings(FolderSettings):
    """An own table of images. table: its file's name, where path is the folder that holds it."""

    table: str


@dataclass(frozen=True, kw_only=True)
class ListSettings(FileDatasetSettings):
    """Published lists of images. images: their folder; None is where the lists are."""

    images: str | None = None


@dataclass(frozen=True, kw_only=True)
class CifarSettings(FileDatasetSettings):
    """CIFAR-LT. split_seed: of the published selection, apart from the run's seed."""

    imbalance_factor: float
    val_per_class: Count
    split_seed: Natural


@dataclass(frozen=True, kw_only=True)
class NicoSettings(FileDatasetSettings):
    """NICO++. held_out: images of each group for validation and test together."""

    held_out: Annotated[int, Range(3)]
    split_seed: int


@dataclass(frozen=True, kw_only=True)
class UtkFaceSettings(FileDatasetSettings):
    """UTKFace. target, sensitive: two of age, gender and race; drop_races: numbers of those left out."""

    target: str
    sensitive: str
    drop_races: tuple[Annotated[int, Range(0, 4)], ...] | None
    val_fraction: float
    test_fraction: float


DATASETS: dict[str, type[DatasetSettings]] = {
    "digits": DigitsSettings,
    "grouped_digits": GroupedDigitsSettings,
    "imagenet_lt": ListSettings,
    "places_lt": ListSettings,
    "imagenet100_lt": ListSettings,
    "cifar10_lt": CifarSettings,
    "cifar100_lt": CifarSettings,
    "nico": NicoSettings,
    "waterbirds": FileDatasetSettings,
    "utkface": UtkFaceSettings,
    "folder": FolderSettings,
    "csv": CsvSettings,
}


@dataclass(frozen=True, kw_only=True)
class AdapterSettings(Section):
    """An IP-Adapter: where it lies, and its strength."""

    path: str
    file: str
    encoder: str
    scale: float
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings(Section):
    """A diffusion model and how it is sampled. path: a diffusers folder, or a hub's model id at a `revision`."""

    path: str
    scheduler: str
    steps: Annotated[int, Range(1, 1000)]
    guidance_scale: float
    noise_level: int
    revision: str | None = None
    mirror: str | None = None
    adapter: AdapterSettings | None = None
    tiny_decoder: str | None = None
    tiny_decoder_revision: str | None = None
    precision: str | None = None
    compile: bool = False
    image_size: Count | None = None
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class FeedbackSettings(Section):
    """When, how hard and by which criterion to guide (arXiv 2310.00158): scale w, every n-th step first .. last.

    rule: one of `feedback.guidance.RULES`. mix: the classifier sees s x0_hat + (1 - s) z_t decoded, as in the released
    code, instead of x0_hat. stop_gradient: an approximation that takes the model's noise estimate as constant. decoder:
    what the classifier sees through. rescale: every image stretched to [-1, 1]. shrinkage: of the class Gaussians.
    candidates: images sampled for each one kept, the best by the criterion.
    """

    criterion: str
    scale: float
    every: int
    first: int
    last: int | None
    rule: str
    mix: bool
    stop_gradient: bool
    decoder: str
    rescale: bool
    shrinkage: str
    candidates: Count
    name: str = ""

    def __post_init__(self) -> None:
        if self.every < 1 or self.first < 0 or (self.last is not None and self.last < self.first):
            raise InputError(
                "feedback needs every >= 1 and 0 <= first <= last; check the feedback preset in params.yaml."
            )

    def guides(self, step: int) -> bool:
        """Whether this step is guided. A scale of zero guides nowhere."""
        inside = step >= self.first and (self.last is None or step <= self.last)
        return self.scale != 0 and inside and (step - self.first) % self.every == 0


@dataclass(frozen=True, kw_only=True)
class Budget(Section):
    """How many images to synthesise. per_class: to make (fill "add") or to have, real ones included ("up_to").

    balance: "class" or "group". name_context: whether prompts name the context. empty_group: what images of a group
    without real ones are conditioned on, "class" or "text".
    """

    per_class: int
    fill: str
    balance: str
    name_context: bool
    empty_group: str
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class SynthSettings(Section):
    """What the guided arm's generator is told, and how images are stored. image_dropout: share in [0, 1)."""

    conditioning: str
    image_dropout: float
    shard_size: Count
    image_format: str

    def __post_init__(self) -> None:
        if not 0 <= self.image_dropout < 1:
            raise InputError(f"synth.image_dropout={self.image_dropout} must lie in [0, 1).")


@dataclass(frozen=True, kw_only=True)
class MergeSettings(Section):
    """SYNAuG's data perspective: real images that synthetic ones replace, a share of each class or whole classes."""

    replace_fraction: float
    replace_classes: int


@dataclass(frozen=True, kw_only=True)
class MethodSettings(Section):
    """`train` of params.yaml: how the imbalance is met, and the parameters of the choices."""

    loss: str
    weighting: str
    sampler: str
    mixing: str
    second_stage: str
    mixing_alpha: float
    focal_gamma: float
    adjustment_tau: float
    ldam_margin: float
    balance_beta: float
    drw_from: float
    group_dro_step: float
    group_dro_adjustment: float


@dataclass(frozen=True, kw_only=True)
class HeadSettings(Section):
    """cRT and LWS. length: a share of the first stage's steps; lr: None is the first stage's."""

    length: float
    lr: float | None


@dataclass(frozen=True, kw_only=True)
class DfrSettings(Section):
    """DFR. strengths: candidates for scikit-learn's C; fits: how many balanced subsets are averaged over."""

    strengths: tuple[float, ...]
    fits: Count


@dataclass(frozen=True, kw_only=True)
class SecondStages(Section):
    """The settings of each second stage that has any."""

    crt: HeadSettings
    lws: HeadSettings
    dfr: DfrSettings


@dataclass(frozen=True, kw_only=True)
class RetrainSettings(Section):
    """The classifier on real and synthetic images. loss, mixing: None is that of `train`."""

    fraction_real: float
    second_stage: str
    loss: str | None
    mixing: str | None


@dataclass(frozen=True, kw_only=True)
class LastLayerSettings(Section):
    """SYNAuG's third step; zero steps leave it out."""

    steps: Natural
    batch: Count
    lr: float


@dataclass(frozen=True, kw_only=True)
class SynaugSettings(Section):
    """SYNAuG's second and third step (arXiv 2308.00994)."""

    mixing: str
    mixing_alpha: float
    last_layer: LastLayerSettings


@dataclass(frozen=True, kw_only=True)
class WeightsSettings(Section):
    """Weights of a published network. path: a file, a folder or a hub's id at a `revision`."""

    path: str | None = None
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Section):
    """The first of the feature spaces is the headline's. nearest_k: of density and coverage."""

    nearest_k: int
    features: tuple[str, ...]
    openai_clip: WeightsSettings | None = None
    inception: WeightsSettings | None = None
    dinov2: WeightsSettings | None = None


@dataclass(frozen=True, kw_only=True)
class TinySizes(Section):
    """Widths and layers of the shipped generator's networks."""

    text_width: int
    text_layers: int
    vision_width: int
    vision_layers: int
    patch: int
    embedding: int
    vae_widths: tuple[int, ...]
    unet_widths: tuple[int, ...]
    unet_layers: int


@dataclass(frozen=True, kw_only=True)
class TrainingLength(Section):
    """Steps, images per step and peak learning rate (warm-up over 3 %, cosine to 0); ema: decay of averaged weights."""

    steps: int
    batch: int
    lr: float
    ema: float = 0.0


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings(TrainingLength):
    """autocast: bfloat16 where it is faster; kl: weight of the KL term."""

    autocast: bool
    kl: float


@dataclass(frozen=True, kw_only=True)
class UnetSettings(TrainingLength):
    """How often the UNet is trained without text or image, and with which noise and dropout of the embedding."""

    noise_level_max: int
    text_absent: float
    image_absent: float
    noise_level_share: float
    dimension_dropout_share: float
    dimension_dropout_max: float


@dataclass(frozen=True, kw_only=True)
class TinyDecoderSettings(TrainingLength):
    """The distilled decoder. images: of its corpus; width: channels; noise: the most that is added to latents."""

    seed: int
    images: Count
    width: Count
    noise: float


@dataclass(frozen=True, kw_only=True)
class TinySettings(Section):
    """How the shipped generator is trained, by the frozen stage train_generator."""

    seed: int
    images: int
    pose: PoseRange
    sizes: TinySizes
    autoencoder: AutoencoderSettings
    clip: TrainingLength
    unet: UnetSettings


@dataclass(frozen=True, kw_only=True)
class Params(Section):
    """What a stage may read: of all these, those that dvc.yaml declares for it. Presets stand under PRESETS' names."""

    seed: int
    dataset: str
    data: DatasetSettings
    generator: GeneratorSettings
    feedback: FeedbackSettings
    budget: Budget
    recipe: Recipe
    synth: SynthSettings
    merge: MergeSettings
    train: MethodSettings
    second_stages: SecondStages
    retrain: RetrainSettings
    synaug: SynaugSettings
    evaluation: EvaluationSettings
    tiny: TinySettings
    tiny_decoder: TinyDecoderSettings


PRESETS = {
    "datasets": "data",
    "generators": "generator",
    "feedbacks": "feedback",
    "budgets": "budget",
    "recipes": "recipe",
}
"""Families of presets in params.yaml, and the field that holds the chosen one."""


def section_kind(field: str, values: Mapping[str, Any], path: str) -> type[Section]:
    """The section that a field of Params holds; of data sets the one for their kind. InputError for an unknown kind."""
    if field == "data":
        if not isinstance(values.get("kind"), str):
            raise InputError(f"params.yaml lacks {path}.kind; add it there")
        return choose(f"kind of data set for {path}", DATASETS, values["kind"])
    kind = {f: hint for f, hint in Params.__annotations__.items() if isinstance(hint, type)}.get(field)
    if kind is None or not issubclass(kind, Section):
        raise InputError(f"params.yaml must give {field} as one value, not as `name: value` lines")
    return kind
