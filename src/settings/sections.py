"""What params.yaml may say, part by part; its comments there hold units and sources, and every default.

Limits that need more than the value itself stand where the value is used, and so do the names of choices (which loss,
which criterion): a table of functions there knows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.settings.dataset_settings import DATASETS, DatasetSettings, PoseRange
from src.settings.recipe import Recipe
from src.settings.schema import Count, Natural, NotNegative, Positive, Range, Section, Share


@dataclass(frozen=True, kw_only=True)
class AdapterSettings(Section):
    """An IP-Adapter: where it lies, and its strength."""

    path: str
    file: str
    encoder: str
    scale: float
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingLength(Section):
    """Steps, images per step and peak learning rate (warm-up over 3 %, cosine to 0); ema: decay of averaged weights."""

    steps: int
    batch: int
    lr: float
    ema: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FitSettings(TrainingLength):
    """What of a generator is fitted to images before it is sampled, by one of `generators.fitting.methods`.

    data: "train", the real long tail, or "corpus", what the shipped generator saw of these classes. rank: of LoRA. kl:
    of the VAE, twice the variance of a pixel that it takes for noise.
    """

    method: str
    data: str = "train"
    rank: Count = 4
    kl: NotNegative = 0.3

    @property
    def one_step(self) -> bool:
        """Whether what is fitted makes an image in one step, without diffusion."""
        return self.method in ("vae", "gan")

    def __post_init__(self) -> None:
        choose("fit of a generator", dict.fromkeys(("lora", "textual_inversion", "vae", "gan")), self.method)
        if self.data not in ("train", "corpus"):
            raise InputError(f"a generator is fitted to train or corpus, not to data={self.data}")


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings(Section):
    """A diffusion model and how it is sampled. path: a diffusers folder, or a hub's model id at a `revision`.

    pool: real images that no split uses stand in its place; the path is then only where images are compared.
    """

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
    fit: FitSettings | None = None
    pool: bool | None = None
    name: str = ""

    @property
    def one_step(self) -> bool:
        """Whether it is a VAE or GAN, or the pool in its place."""
        return bool(self.pool) or (self.fit is not None and self.fit.one_step)


@dataclass(frozen=True, kw_only=True)
class WeightsSettings(Section):
    """Weights of a published network. path: a file, a folder or a hub's id at a `revision`."""

    path: str | None = None
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class FeedbackSettings(Section):
    """When, how hard and by which criterion to guide (arXiv 2310.00158), as params.yaml says at feedbacks.loss.

    reference_weight: of learnability (arXiv 2604.00519). target: None, uphill, or "real": each image to a draw from the
    criterion of held-out real ones (see `feedback.real_targets`), or with a `pilot` by a scale for each class.
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
    inner_steps: Count = 1
    smoothing: NotNegative = 0.0
    reference_weight: NotNegative = 0.0
    reference: WeightsSettings | None = None
    cohort: Count = 1
    exemplars: Count = 32
    target: str | None = None
    pilot: Count | None = None
    name: str = ""

    def __post_init__(self) -> None:
        self._check_target()
        if self.criterion == "chamfer" and (self.cohort < 2 or self.reference_weight):
            raise InputError("feedback by chamfer needs a cohort of 2 or more, and has no reference to take off")
        if self.criterion != "chamfer" and self.cohort > 1:
            raise InputError(f"criterion '{self.criterion}' judges each image alone; set the preset's cohort to 1")
        if self.cohort > 1 and self.candidates > 1:
            raise InputError(
                "feedback judges the images of a cohort together, so that none can be chosen; candidates: 1"
            )
        if self.every < 1 or self.first < 0 or (self.last is not None and self.last < self.first):
            raise InputError(
                "feedback needs every >= 1 and 0 <= first <= last; check the feedback preset in params.yaml."
            )

    def _check_target(self) -> None:
        if self.target not in (None, "real"):
            raise InputError(f"feedback is matched to target real or, left empty, to none, not to '{self.target}'")
        if self.target is None and self.pilot is not None:
            raise InputError("a feedback's pilot finds the scale that meets a target; set target to real, or no pilot")
        if self.target is not None and self.criterion in ("none", "chamfer"):
            raise InputError(f"feedback with a target needs a classifier's criterion, not {self.criterion}; set one")
        if self.target is not None and self.scale < 0:
            raise InputError("feedback with a target finds the sign of its steps; set its scale to 0 or more")
        if self.target is not None and self.pilot is None and self.scale and self.rule == "score":
            raise InputError("feedback steps towards a target by rule latent or x0; set one of them, or a pilot")
        if self.pilot is not None and self.scale == 0:
            raise InputError("a feedback's pilot looks for scales up to the preset's; set that above 0, or no pilot")

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
    """What the guided arm's generator is told, and how images are stored. image_dropout: share in [0, 1);
    dropout_form: one of DROPOUT_FORMS of src.synthesis.conditioning. embedding_mix: see `Conditioning` there."""

    conditioning: str
    image_dropout: float
    dropout_form: str
    shard_size: Count
    image_format: str
    embedding_mix: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.image_dropout < 1:
            raise InputError(f"synth.image_dropout={self.image_dropout} must lie in [0, 1).")
        if self.embedding_mix is not None and (self.embedding_mix <= 0 or self.conditioning == "text"):
            raise InputError(
                f"synth.embedding_mix={self.embedding_mix} must be positive, with images to mix; or empty for no mixing"
            )


@dataclass(frozen=True, kw_only=True)
class OnlineSettings(Section):
    """Rounds of guided synthesis between which the classifier goes on training; one: the base's feedback throughout.

    length: of each training, a share of the recipe's; patience: looks at validation without a better one, after which
    it ends; fraction_real: of its batches.
    """

    rounds: Count = 1
    length: Annotated[float, Range(1e-4)] = 0.5
    patience: Count = 3
    fraction_real: Share = 0.5


@dataclass(frozen=True, kw_only=True)
class MergeSettings(Section):
    """SYNAuG's data perspective: real images that synthetic ones replace, a share of each class or whole classes.

    per_class: how many synthetic images of each class, or group, are there to be used, the first; None: all. filter:
    which of them count at all, one of `src.data.filtering.FILTERS`; filter_low, filter_high: the quantiles of real
    images that they are held to.
    """

    replace_fraction: Share
    replace_classes: Natural
    per_class: Count | None = None
    filter: str = "none"
    filter_low: Share = 0.0
    filter_high: Share = 0.95

    def __post_init__(self) -> None:
        if self.filter_low >= self.filter_high:
            raise InputError("merge.filter_low must be below merge.filter_high; correct it in params.yaml")


@dataclass(frozen=True, kw_only=True)
class MethodSettings(Section):
    """`train` of params.yaml: how the imbalance is met, and the parameters of the choices. balance_beta: in [0, 1)."""

    loss: str
    weighting: str
    sampler: str
    mixing: str
    second_stage: str
    mixing_alpha: Positive
    focal_gamma: NotNegative
    adjustment_tau: NotNegative
    ldam_margin: NotNegative
    balance_beta: float
    drw_from: Share
    group_dro_step: NotNegative
    group_dro_adjustment: NotNegative

    def __post_init__(self) -> None:
        if not 0 <= self.balance_beta < 1:
            raise InputError(
                f"train.balance_beta must lie in [0, 1), not {self.balance_beta}; correct it in params.yaml"
            )


@dataclass(frozen=True, kw_only=True)
class HeadSettings(Section):
    """cRT and LWS. length: a share of the first stage's steps, but at least `least_steps`; lr: None is the first
    stage's."""

    length: Positive
    least_steps: Natural
    lr: float | None


@dataclass(frozen=True, kw_only=True)
class DfrSettings(Section):
    """DFR. strengths: candidates for scikit-learn's C, above 0; fits: how many balanced subsets are averaged over."""

    strengths: tuple[float, ...]
    fits: Count

    def __post_init__(self) -> None:
        if min(self.strengths, default=0) <= 0:
            raise InputError("second_stages.dfr.strengths must hold positive numbers; correct it in params.yaml")


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(Section):
    """The whole network on real images. length: a share of the first stage's steps; lr: times the recipe's; above 0."""

    length: Annotated[float, Range(1e-4)]
    lr: Annotated[float, Range(1e-9)]


@dataclass(frozen=True, kw_only=True)
class SecondStages(Section):
    """The settings of each second stage that has any."""

    crt: HeadSettings
    lws: HeadSettings
    dfr: DfrSettings
    finetune: FinetuneSettings


@dataclass(frozen=True, kw_only=True)
class RetrainSettings(Section):
    """The classifier on real and synthetic images. fraction_real, mixing: of the guided arm.

    length: times the recipe's. loss, mixing: None is that of `train`.
    """

    length: Annotated[float, Range(0.01)]
    fraction_real: Share
    second_stage: str
    loss: str | None
    mixing: str | None


@dataclass(frozen=True, kw_only=True)
class LastLayerSettings(Section):
    """SYNAuG's third step; zero steps leave it out. lr: None is the recipe's, times batch over the recipe's batch."""

    steps: Natural
    batch: Count
    lr: float | None


@dataclass(frozen=True, kw_only=True)
class SynaugSettings(Section):
    """SYNAuG (arXiv 2308.00994). translation: what its images begin from, one of `synthesis.plan.TRANSLATIONS`, noised
    to a `strength`."""

    mixing: str
    mixing_alpha: Positive
    last_layer: LastLayerSettings
    translation: str = "none"
    strength: Share = 0.5


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Section):
    """The first of the feature spaces is the headline's; none: those that suit the generator. nearest_k: of density
    and the like."""

    nearest_k: Count
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
class AutoencoderSettings(TrainingLength):
    """kl: weight of the KL term."""

    kl: float


@dataclass(frozen=True, kw_only=True)
class UnetSettings(TrainingLength):
    """How often the UNet is trained without text or image, and how far the embedding is noised at most."""

    noise_level_max: int
    text_absent: float
    image_absent: float


@dataclass(frozen=True, kw_only=True)
class TinyDecoderSettings(TrainingLength):
    """The distilled decoder. images: of its corpus; width: channels; noise: the most that is added to latents."""

    seed: int
    images: Count
    width: Count
    noise: float


@dataclass(frozen=True, kw_only=True)
class TinySettings(Section):
    """How a shipped generator is trained, by the frozen stages train_generator and train_fashion_generator."""

    seed: int
    images: int
    pose: PoseRange
    sizes: TinySizes
    autoencoder: AutoencoderSettings
    clip: TrainingLength
    feature_space: TrainingLength
    unet: UnetSettings


@dataclass(frozen=True, kw_only=True)
class Params(Section):
    """What a stage may read: of all these, those that dvc.yaml declares for it. Presets stand under PRESETS' names.

    committee: base classifiers from different seeds, of which the criterion `disagreement` asks several.
    """

    seed: int
    dataset: str
    committee: Count
    data: DatasetSettings
    generator: GeneratorSettings
    feedback: FeedbackSettings
    budget: Budget
    recipe: Recipe
    synth: SynthSettings
    online: OnlineSettings
    merge: MergeSettings
    train: MethodSettings
    second_stages: SecondStages
    retrain: RetrainSettings
    synaug: SynaugSettings
    evaluation: EvaluationSettings
    tiny: TinySettings
    tiny_fashion: TinySettings
    tiny_decoder: TinyDecoderSettings


PRESETS = {
    "datasets": "data",
    "generators": "generator",
    "feedbacks": "feedback",
    "budgets": "budget",
    "recipes": "recipe",
}
"""Families of presets in params.yaml, and the field that holds the chosen one."""

TINY = "models/tiny_unclip"
TINY_OF = {name: {"path": "models/tiny_fashion"} for name in ("fashion_lt", "fashion_nico")}


def shipped(path: str | None, dataset: Any) -> dict[str, str]:
    """What the data set's own shipped generator has in place of TINY's; nothing for another generator or data set."""
    return TINY_OF.get(str(dataset), {}) if path == TINY else {}


"""Data sets that have a tiny generator of their own, which every preset with the path TINY means with them."""


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
