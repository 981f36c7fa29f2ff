"""The schema of the whole configuration: a typo or a wrong type is an error before anything starts.

It is also where a setting's default stands, once: a file of conf/ holds what differs. So a configuration that an older
version composed can still be read.

Sections whose content is chosen by `_target_` (networks, losses, recipes, trainers) are open dictionaries here:
their keys are checked against the chosen YAML by Hydra and against the callable's signature on instantiation.
"""

from dataclasses import dataclass, field
from typing import Any

Node = dict[str, Any]

MISSING: Any = "???"
"""omegaconf's word for a value that has to be given. It is not imported, as every stage names this schema."""


@dataclass
class PathsConfig:
    """Where things are read and written, relative to the project's root."""

    data: str = "data"
    prepared: str = "artifacts/prepared"
    train: str = "artifacts/train"
    checkpoints: str = "checkpoints"
    evaluate: str = "artifacts/evaluate"
    prune: str = "artifacts/prune"
    quantize: str = "artifacts/quantize"
    export: str = "artifacts/export"
    benchmark: str = "artifacts/benchmark"
    explain: str = "artifacts/explain"
    registry: str = "artifacts/registry"
    reports: str = "reports"


@dataclass
class SeverityConfig:
    """A curriculum: blur grows from `start` of each kind's range to all of it over the first `samples` crops."""

    start: float = 1.0  # full strength at once
    samples: int = 20000


@dataclass
class ProgressiveConfig:
    """Patches that grow: each stage goes `until` an epoch, with its `patch` size and its `batch`; empty is off."""

    until: list[int] = field(default_factory=list)
    patch: list[int] = field(default_factory=list)
    batch: list[int] = field(default_factory=list)


@dataclass
class DataConfig:
    """Where pairs come from, how training crops are drawn, how many fixed pairs are made."""

    name: str = MISSING
    task: str = "image"  # or burst, video: what an item is
    frames: int = 1  # of an item; 1 is a single image
    min_frames: int = 0  # bursts in training: each batch has a drawn number of shots, from this to frames; 0: frames
    source: Node = field(default_factory=dict)  # a class of ingest/sources
    pairs_per_photo: dict[str, int] = field(default_factory=lambda: {"val": 4, "test": 8})
    pairs_seed: int = 0  # not the run's seed: runs with different seeds are scored on the same pairs
    max_side: dict[str, int] = field(default_factory=lambda: {"val": 320, "test": 768})
    max_pairs: dict[str, int] = field(default_factory=dict)  # of an imported dataset; without an entry, all
    min_side: int = 64
    exclude: list[str] = field(default_factory=list)
    patch_size: int = 96
    batch_size: int = 4
    steps_per_epoch: int = 250
    num_workers: int = 1
    severity: SeverityConfig = field(default_factory=SeverityConfig)
    progressive: ProgressiveConfig = field(default_factory=ProgressiveConfig)
    shards: str | None = None  # folder or URL that `unblur data pack` wrote: training reads it instead of photographs
    shard_cache: str = "artifacts/shard_cache"  # for shards behind a URL
    shard_cache_gb: float = 20.0

    @property
    def manifest(self) -> str | None:
        """The manifest of an imported dataset, None of photographs that SOURCES.json lists."""
        return self.source.get("manifest")


@dataclass
class CheckConfig:
    """From where on `unblur check-data` reports. Errors end it with exit code 1, warnings do not."""

    duplicate_bits: int = 6  # error: two splits hold pictures whose perceptual hashes (64 bits) differ in no more,
    duplicate_correlation: float = 0.95  # and whose small grey versions correlate as much
    max_shift: float = 1.0  # error: truth shifted against blur by more pixels (phase correlation),
    shift_gain: float = 0.2  # if undoing the shift takes this share off their squared difference
    turn_gain: float = 0.1  # a pair is turned if another orientation correlates better by this much; training asks too
    max_sharpness: float = 1.15  # error: the blurred picture's gradients are as much stronger than its truth's
    max_clipped: float = 0.5  # warning: share of pixels that are black or white
    min_contrast: float = 2.0  # error: standard deviation below which a picture is constant, in 8-bit steps
    frame_order: float = 0.75  # error: exchanging two neighbours shortens the way through a sequence to this share


@dataclass
class EvaluateConfig:
    """Metric profiles, classical baselines and the number of panels in the report."""

    profiles: list[str] = field(
        default_factory=lambda: ["psnr/literature", "psnr/float", "ssim/matlab3d", "ssim/per-channel"]
    )
    baselines: list[str] = field(default_factory=lambda: ["blurred", "unsharp", "richardson_lucy", "wiener"])
    panels: int = 6


@dataclass
class FinetuneConfig:
    """How a compressed network is trained again, taught by the one that it came from."""

    epochs: int = 5  # over all rounds of pruning
    lr: float | None = None  # None is the first training's
    output_weight: float = 1.0  # of the distance from the output of the network that it came from
    feature_weight: float = 0.1  # of the distance from its features


@dataclass
class PruneConfig:
    """How small a network is made, what is taken out, and how it is trained again."""

    target: float | None = 0.5  # share of the trained network's cost that is left; None leaves it as it is
    cost: str = "macs"  # or latency: of the exported network in OpenVINO, which takes an export at each step
    blocks: int = 2  # whole blocks that go first: the surest way to lower latency
    importance: str = "taylor"  # of channels and heads: magnitude, taylor, features
    multiple: int = 16  # what widths are a multiple of
    smallest: float = 0.25  # share of a width that stays at least
    stream: bool = True  # also narrow the features that blocks hand on, not only those inside blocks
    rounds: int = 1  # prune, train, prune further, train
    batches: int = 8  # of training data, to judge importance by
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)


@dataclass
class QuantizeConfig:
    """Which weights and activations become eight bits, and what that may cost."""

    # int8: weights and activations; the others change how weights are stored, not the speed.
    kinds: list[str] = field(default_factory=lambda: ["int8", "int8_weights", "fp16"])
    batches: int = 8  # of training data, to find the range of each activation
    pairs: int = 12  # of the validation split, to measure what is lost
    max_lost_db: float = 0.05  # against the network in float32; parts go back to float until it holds
    max_colour_shift: float = 0.25  # of a channel's mean, in steps of 255
    ends: bool = False  # the first and the last layer, too
    # Training that feels eight bits, where going back to float does not help.
    finetune: FinetuneConfig = field(default_factory=lambda: FinetuneConfig(epochs=2))


@dataclass
class ExportConfig:
    """Formats to export and the sizes at which each is compared with the PyTorch network."""

    formats: list[str] = field(default_factory=lambda: ["onnx", "openvino", "pt2"])
    # Batch, height, width: odd ones too.
    sizes: list[list[int]] = field(default_factory=lambda: [[1, 64, 64], [2, 97, 131], [1, 250, 175]])
    tolerance: float = 1e-4
    opset: int = 18


@dataclass
class BenchmarkConfig:
    """Latency measurement, in rounds that run all candidates in turn, and what decides the choice."""

    # Height, width; above two megapixels in tiles, as `unblur restore` does it.
    sizes: list[list[int]] = field(default_factory=lambda: [[256, 256], [720, 1280]])
    rounds: int = 3
    warmup: int = 1
    threads: int = 2
    # On the validation pairs, against the trained network in PyTorch; the fastest within it is deployed.
    max_lost_db: float = 0.1
    margin: float = 0.02  # share of the time by which one has to be faster, with 95 % confidence, to be preferred


@dataclass
class ExplainConfig:
    """A few test pairs of each stratum, each explained on a page of its own."""

    pairs: int = 1  # of each bin of strength
    size: int = 32  # pixels of the region, which lies where the model corrects most
    # And input_gradients, occlusion, lime: twice the time.
    maps: list[str] = field(default_factory=lambda: ["lam", "grouped_gradients", "intervention"])
    level: float = 0.9  # of the pixels lie below their bound on the error


@dataclass
class GateConfig:
    """Rules that a candidate has to pass before it may become champion; None switches a rule off.

    The bounds of the rules that are on stand in conf/gate/.
    """

    profile: str = "psnr/literature"
    min_psnr: float | None = None
    min_gain: float | None = None
    min_gain_low: float | None = None
    max_sharp_loss: float | None = None
    max_unblurred_loss: float | None = None
    max_regression: float | None = None
    max_stratum_regression: float | None = None
    confidence: float = 0.95
    bootstrap_samples: int = 2000
    max_parity: float | None = None
    max_lost_db: float | None = None
    max_latency_ms: float | None = None
    max_latency_ratio: float | None = None
    latency_size: list[int] = field(default_factory=lambda: [720, 1280])  # height, width
    max_size_mb: float | None = None
    max_guarded: int | None = None
    min_shadow_requests: int = 0  # that `unblur serve --shadow` put to it beside the champion; 0 does not ask
    max_shadow_errors: float | None = None  # share of them
    min_shadow_psnr: float | None = None  # dB to the champion's answers, at the 5th percentile
    without_champion: str | None = None  # the model that is compared with while there is no champion


@dataclass
class RegistryConfig:
    """The name of the registered model and of the experiment in MLflow."""

    model_name: str = "unblur"
    experiment: str = "unblur"


@dataclass
class TrainConfig:
    """What training starts from and learns from, and what surrounds the Trainer."""

    # A model that is trained further: a folder, or the name of one that comes with unblur (`box`). It is trained as the
    # network that it is; or as `model`, where that has the same weights and others that begin at 0.
    init: str | None = None
    init_share: float = 0.0  # of the weights that `init` had, in those that are saved (Wortsman et al. 2022, CVPR)
    teacher: str | None = None  # a model too, followed where it is better than the blurred image
    teacher_weight: float = 1.0  # of the mean absolute distance from the teacher's output
    channels_last: bool = True
    sample_panels: int = 2
    resume: bool = True
    threads: int | None = None


@dataclass
class PipelineConfig:
    """Everything that a pipeline stage may read."""

    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    blur: Node = field(default_factory=dict)
    model: Node = field(default_factory=dict)
    loss: Node = field(default_factory=dict)
    optimizer: Node = field(default_factory=dict)
    scheduler: Node = field(default_factory=dict)
    augment: Node = field(default_factory=dict)
    trainer: Node = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    logger: Node = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)
    check: CheckConfig = field(default_factory=CheckConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    prune: PruneConfig = field(default_factory=PruneConfig)
    quantize: QuantizeConfig = field(default_factory=QuantizeConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    explain: ExplainConfig = field(default_factory=ExplainConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    registry: RegistryConfig = field(default_factory=RegistryConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
