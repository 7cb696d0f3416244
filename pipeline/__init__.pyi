"""The signatures of `synthcl.pipeline`, written by tools/stubs.py from the configs. Do not edit."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, overload

from .configs.compare import CompareConfig as CompareConfig
from .configs.embed import EmbedConfig as EmbedConfig
from .configs.export import ExportConfig as ExportConfig
from .configs.generate import GenerateConfig as GenerateConfig
from .configs.pretrain import PretrainConfig as PretrainConfig
from .configs.train import TrainConfig as TrainConfig
from .data import open_images as open_images
from .encoder import load_encoder as load_encoder
from .generation.opening import open_generator as open_generator
from .runs.folder import read_config as read_config
from .runs.folder import read_metrics as read_metrics
from .shards import open_shard_set as open_shard_set

__all__ = [
    "CompareConfig",
    "EmbedConfig",
    "ExportConfig",
    "GenerateConfig",
    "PretrainConfig",
    "TrainConfig",
    "compare",
    "embed",
    "evaluate",
    "export",
    "generate",
    "load_encoder",
    "open_generator",
    "open_images",
    "open_shard_set",
    "pretrain",
    "read_config",
    "read_metrics",
    "train",
]

@overload
def compare(config: CompareConfig, /) -> dict[str, Any]: ...

@overload
def compare(
    *,
    out: str | PathLike[str],
    sampler: Literal["ddim", "dpm"] | None = None,
    sampling_steps: int | None = None,
    generator_precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    classes: Sequence[str] = ...,
    prompts: str | PathLike[str] | None = None,
    guidance_scale: float | None = None,
    pairs: bool = True,
    images_per_sample: int | None = None,
    pair_strength: float | None = None,
    pair_ema_decay: float = 0.999,
    pair_similarity: str | None = None,
    hard: bool = True,
    hard_objective: Literal["loss", "real-negatives", "alignment"] = "loss",
    hard_weight: float = 1.0,
    hardness_clip: float = 0.5,
    hardness_clip_on: Literal["images", "parameters"] = "images",
    hard_centred: bool = True,
    hard_gate: float | None = None,
    hard_ramp: float = 0.1,
    hard_freeze: float = 0.0,
    hard_on: Literal["weights", "latents"] = "weights",
    latent_radius: float = 0.3,
    pair_floor: float | None = None,
    hard_guard: bool = True,
    eval_encoder: str | PathLike[str] | None = None,
    eval_samples: int = 5000,
    guard_every: int | None = None,
    guard_goes_back: bool = True,
    generator_learning_rate: float | None = None,
    discriminator_learning_rate: float | None = None,
    discriminator_augment: str = "auto",
    lora_rank: int | None = None,
    gradient_steps: int | None = None,
    data: str | PathLike[str] | None = None,
    recipe: Literal["adainf"] | None = None,
    synthetic_ratio: float = 0.5,
    resize_samples: bool = False,
    synthetic_loss: Literal["ppcl", "clsp"] = "ppcl",
    synthetic_weight: float | None = None,
    synthetic_negatives: bool = True,
    separate_batchnorm: bool = False,
    learner: Literal["simclr", "moco", "mocov3", "nnclr", "dino", "supcon", "byol", "simsiam", "barlow", "vicreg"] | str = "simclr",
    learner_option: dict[str, Any] = ...,
    backbone: str = "resnet18",
    temperature: float | None = None,
    queue_size: int | None = None,
    views: Literal["simclr", "simclr-cifar", "mocov2", "mocov2-cifar", "byol", "dino", "dino-cifar", "adainf", "digits", "none"] | None = None,
    views_per_image: int = 2,
    view_size: int | None = None,
    local_views: int = 0,
    local_size: int | None = None,
    adversarial: float | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 256,
    accumulate: int = 1,
    image_size: int | None = None,
    optimizer: Literal["sgd", "lars", "adamw"] | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    decay_norms: bool | None = None,
    layer_decay: float | None = None,
    clip_gradients: float | None = None,
    warmup_epochs: float = 10.0,
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    compile: bool = False,
    sync_batchnorm: bool = True,
    cache: Literal["auto", "device", "ram", "disk", "none"] = "auto",
    data_root: str | PathLike[str] | None = None,
    sample_every: int | None = None,
    log_every: int = 10,
    eval_every: int | None = None,
    watch_features: int | None = None,
    tracker: Sequence[Literal["tensorboard", "wandb"]] = ...,
    checkpoint_every: int = 1000,
    keep: int = 2,
    seed: int = 0,
    test_data: str | PathLike[str] | None = None,
    generator: str | PathLike[str] | None = None,
    regimes: str = "real,offline,online",
    arm: Sequence[str] = ...,
    reference: str = "real",
    judge: Sequence[str] = ...,
    primary: str | None = None,
    metric: Literal["linear", "knn"] = "linear",
    seeds: int = 3,
    equal: Literal["steps", "seconds", "images"] = "steps",
    shards: Sequence[str | PathLike[str]] = ...,
    where: str | None = None,
    num_samples: int | None = None,
    label_fraction: Sequence[float] = ...,
    transfer: Sequence[str | PathLike[str]] = ...,
    transfer_test_data: Sequence[str | PathLike[str]] = ...,
    robustness: bool = False,
    run: Sequence[str] = ...,
) -> dict[str, Any]:
    """Train each arm with each seed, evaluate, and say what came of it; or compare runs that exist; or both.

    Args:
        out: Folder of the comparison: runs, results and report.html.
        sampler: Diffusion: solver to sample with; the generator's own if not given, of what pretrain wrote dpm.
            [ddim: 2010.02502, dpm: 2211.01095]
        sampling_steps: Diffusion: steps of the sampler, network evaluations an image; the generator's own if not
            given, of what pretrain wrote 20.
        generator_precision: Precision that the generator computes in; auto is bf16 on a GPU that has it, else fp32.
            fp16 is for drawing alone. Samples of another precision are other samples: a set or a run keeps to one.
        classes: Class-conditional pipelines: what to draw from: a class, a range (0-9), or a text file with one of
            them a line; may be repeated.
        prompts: Text-to-image pipelines: a text file with a prompt a line, or a Parquet file with a column prompt,
            text or caption. Sample i is of prompt i, and so on in turn.
        guidance_scale: Guidance scale, of pipelines with classifier-free guidance.
        pairs: Two similar images of each latent, mutual positives: of the generator and its moving average (online),
            or of two latents near each other (fresh).
        images_per_sample: Fresh: similar images of each latent, mutual positives; the 2 of a pair if not given.
            Online always has 2, the generator's and its moving average's: that is the method (arXiv 2202.06464).
        pair_strength: How far the latent of a pair's second image is from the first's: 0 is the same, 1 another.
            [default: 0.3 for fresh, 0 for online]
        pair_ema_decay: Decay of the moving average that gives the second image of a pair.
        pair_similarity: Target of the pair's cosine similarity, from A at the start to B at the end; the decay
            follows it.
        hard: Train the generator towards samples that are hard for the learner.
        hard_objective: What the generator raises: the learner's whole loss, each latent's own loss against real
            negatives, or the distance between each latent's views. With --synthetic-weight W real views count 1 / W
            in the whole loss.
        hard_weight: Factor on the learner's gradient in the generator's, before --hardness-clip bounds it. Where the
            bound cuts every image (hard_clipped 1 in metrics.jsonl, usual with the defaults) it changes nothing:
            change that.
        hardness_clip: Bound of the learner's gradient, as a multiple of the realism gradient.
        hardness_clip_on: Where that bound is taken: on each image's gradients, or on those of the generator's
            parameters.
        hard_centred: Take off what the learner's gradients of all samples have in common.
        hard_gate: Drop the learner's gradient of latents whose loss exceeds that of real images by more than this, in
            the loss's own unit (nats); no gate if not given.
        hard_ramp: Part of training over which the bound rises from 0.
        hard_freeze: Last part of training without the learner's gradient.
        hard_on: What is moved towards harder samples: the generator's weights, or each latent by itself, for one more
            pass through the learner.
        latent_radius: How far a latent moves with --hard-on latents, as a part of its length.
        pair_floor: Drop the learner's gradient of latents whose pair has a cosine similarity below this.
        hard_guard: Hold hardness back while the generator leaves its band: a discriminator at chance, samples that
            vary much less or more in colour than real images, or a Fréchet distance that grows. Without it hardness
            keeps its weight whatever comes.
        eval_encoder: Measure the generator's samples against real images in the features of this encoder, of real
            images alone (a run of `synthcl train`, or random:BACKBONE, of random weights, which sees a drift too),
            and hold hardness back while their Fréchet distance grows.
        eval_samples: Samples to measure in the features of --eval-encoder, and real images to compare them with; at
            most half of those there are.
        guard_every: Steps between measurements with --eval-encoder; a twentieth of the training if not given.
        guard_goes_back: Bring the generator back to its weights of the last good measurement when --eval-encoder
            finds its Fréchet distance far beyond the least, and leave a tenth of hardness. Without it hardness alone
            gives way.
        generator_learning_rate: Learning rate of all that the generator trains, of a GAN its discriminator too (as
            --learning-rate of pretrain); what each was pretrained with if not given.
        discriminator_learning_rate: GAN: learning rate of the discriminator, where it is to be another than
            --generator-learning-rate.
        discriminator_augment: GAN: what the discriminator sees is augmented by: colour, translation, cutout, with
            commas between them, or none; pretrained is what it was pretrained with. auto is all three where it is to
            see each real image more than 100 times, since it learns them by heart without, and pretrained in shorter
            trainings.
        lora_rank: Diffusion: train adapters of this rank instead of all weights.
        gradient_steps: Diffusion: last sampling steps that carry the gradient (DRaFT-K, arXiv 2309.17400), 1 if not
            given; memory and time grow with it.
        data: Images with labels for the probes (as for train); with --run the runs' own.
        recipe: Published way to use generated images, as the options that it sets: adainf is --views adainf,
            --synthetic-ratio 2 and --no-pairs, with samples treated as real images are.
        synthetic_ratio: Latents a real image: 0.5 is one for two images.
        resize_samples: Bring samples of another size to that of the real images, bilinearly with antialiasing, where
            they would be refused without.
        synthetic_loss: Loss of synthetic views: ppcl, the paper's (arXiv 2202.06464), which is the learner's own, as
            for real views; or clsp (simclr, moco, supcon), which draws a latent's views together and uses none as a
            negative.
        synthetic_weight: Weight of the mean loss of synthetic views beside the mean loss of real ones; if not given,
            one mean over all views, and for clsp its authors' weight: 1 for simclr, 0.5 for moco.
        synthetic_negatives: Compare real views with synthetic ones too, as negatives (simclr, supcon).
        separate_batchnorm: Normalise synthetic views by themselves; running statistics follow the real ones.
        learner: Method of contrastive learning, or a class of your own.
        learner_option: Set one of the method's own numbers, such as momentum=0.999 (moco, mocov3, byol, dino) or
            off_diagonal_weight=0.01 (barlow); may be repeated. A name that the method does not have is answered with
            those that it has.
        backbone: Encoder: resnet10 (one block a stage, ours), resnet18, resnet34, resnet50, timm:NAME; -wN makes it N
            channels wide in the first stage instead of 64 (resnet10-w16).
        temperature: Temperature of the loss; the method's own if not given.
        queue_size: Negatives in the queue (moco), or embeddings in the support set (nnclr); the method's own if not
            given.
        views: Augmentation preset; the learner's published one if not given.
        views_per_image: Views of each image in a step, real or synthetic; all of an image's views are positives.
        view_size: Pixels a side of views, which are what the encoder takes, cropped from images of --image-size: 224
            from 256 is usual. As many as the images have if not given.
        local_views: Small views of small parts of each image, beside the others (multi-crop, dino): the student sees
            all, the teacher the others alone. Their authors take 6 to 10.
        local_size: Pixels a side of local views; if not given 96 of 224, and in proportion 16 of 32. A vision
            transformer takes multiples of its patches.
        adversarial: Train on adversarial views of the real images too (CLAE, arXiv 2010.12050), each pixel moved by
            this part of its range towards a higher loss, for one more forward and backward pass. CLAE's 0.03 of [-1,
            1] is 0.015 here.
        epochs: Passes over the real images; give this or --steps.
        steps: Optimizer steps, instead of --epochs.
        batch_size: Real images a step, over all processes.
        accumulate: Parts in which a batch goes through the encoder, to save memory, for one more forward pass. Loss
            and gradient are those of the whole batch, with all its negatives; batch statistics are each part's.
        image_size: Pixels a side; others are resized and centre-cropped. The images' own size if not given.
        optimizer: Optimizer of the learner, with its own learning rate and weight decay; the method's own if not
            given.
        learning_rate: Learning rate for a batch of 256, scaled with --batch-size; the optimizer's own if not given.
        weight_decay: Weight decay; the optimizer's own if not given.
        decay_norms: Weight decay on biases and normalisation layers too; the optimizer's own way if not given.
        layer_decay: Vision transformers of timm: each layer learns at this part of the rate of the layer above it;
            0.75 is usual (BEiT, MAE). One rate for all if not given.
        clip_gradients: Maximum gradient norm of the learner (2-norm over all weights); no clipping if not given.
        warmup_epochs: Epochs of linear warm-up, or a tenth of the training where that is less; 10 is solo-learn's.
        precision: Precision that the learner computes in; auto is bf16 where the device has it, else fp32.
        compile: Compile the learner and the views with torch.compile: minutes before the first steps. It pays for
            small images on a CPU; on a GPU it has not been timed. The generator stays as it is: compiled, it was
            slower on a CPU. Not with --accumulate or --adversarial, which torch.compile does not take.
            TORCHINDUCTOR_CUDAGRAPHS=1 in the environment has it launch CUDA graphs, which nobody has run yet.
        sync_batchnorm: Take batch statistics over all processes rather than each its own.
        cache: Where decoded images stay: device; ram; disk, in a file that all processes and runs share (not of sets
            at URLs); none; auto, the first where they fit.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        sample_every: Steps between pictures of online pairs; a quarter of the training if not given.
        log_every: Steps between rows of metrics.jsonl.
        eval_every: Steps between measurements of the accuracy of nearest neighbours (knn_top1 in metrics.jsonl), on
            parts of the train and test split of --data, which need labels; never if not given.
        watch_features: Steps between measurements of the features of some training images (RankMe, alignment,
            uniformity, spread), which tell of collapse; none if not given.
        tracker: Send metrics and options to a tracker too; may be repeated. tensorboard writes to RUN/tensorboard.
        checkpoint_every: Steps between checkpoints.
        keep: How many checkpoints to keep, the newest ones.
        seed: Seed that all randomness follows from.
        test_data: Images to score on; the test or validation split of --data if not given.
        generator: The pretrained generator that offline and fresh draw from and online starts from.
        regimes: Which to compare, of real, offline, fresh, online, replay; real-equal-views is real images in as many
            views a step as the regimes with synthetic ones have.
        arm: Compare an arm too: a name, then a regime and options of train that it has to itself, such as 'online-
            nohard: --online --no-hard'; may be repeated. It gets what --equal gives it, whatever its images and batch
            size; --epochs of its own are of its own images and batch size. In a YAML file: arm: {online-nohard:
            {regime: online, hard: false}}.
        reference: The arm that each other one is judged against; the first one, where real is not compared.
        judge: A difference to judge, such as online-fresh; may be repeated. Of each arm from --reference, and those
            that have a meaning of their own, if not given. Holm's correction is for as many as are judged.
        primary: The one comparison that the trainings are made for, named beforehand, such as online-real: it is
            judged by itself, the others with Holm's correction.
        metric: What decides, named beforehand: top-1 accuracy of the linear probe with all labels, or of nearest
            neighbours. Both are shown.
        seeds: Runs of each arm, of --seed and those after it; fewer than 3 give no interval.
        equal: What all regimes get the same of: optimizer steps, seconds of training, or images through the learner.
            --steps or --epochs is then what real images alone would get.
        shards: A shard set for offline, instead of generating one; may be repeated.
        where: Take only samples of --shards that meet an SQL condition on their columns.
        num_samples: Latents in the set generated for offline; as many as a training draws, up to 50,000, if not
            given.
        label_fraction: Part of each class's labels for the probe, beside all, in place of the default ones; may be
            repeated.
        transfer: Other images to probe the encoders on; may be repeated.
        transfer_test_data: Images to score them on, one for each --transfer; their test splits if not given.
        robustness: Score the probe on corrupted test images too, as `eval robustness` does, which encodes them 55
            times.
        run: Compare runs that exist instead of training any, or, beside --steps or --epochs, with those trained here;
            may be repeated. A label makes a run one of an arm of that name.
    """

@overload
def embed(run: str | Path, config: EmbedConfig, /) -> dict[str, Any]: ...

@overload
def embed(
    run: str | Path,
    *,
    out: str | PathLike[str],
    data: Sequence[str | PathLike[str]] = ...,
    num_images: int | None = None,
    picture: str | PathLike[str] | None = None,
    method: Literal["tsne", "pca", "umap"] | None = None,
    color_by: Literal["class", "source"] | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    batch_size: int = 256,
    data_root: str | PathLike[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Write the features of images under a run's encoder to a Parquet file; see `synthcl embed`.

    Args:
        out: The table to write, a row an image.
        data: Images: a SPEC as for train, or a shard set; may be repeated, for one table of all.
        num_images: Images of each --data at most, drawn by --seed.
        picture: Draw the embeddings in the plane too.
        method: How the features come to the plane of --picture; tsne if not given. umap needs umap-learn.
        color_by: What colours mean in --picture; source for several --data, class for one, if not given.
        precision: Precision of the encoder; bf16 is quicker and less exact.
        batch_size: Images a forward pass.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        seed: Seed that all randomness follows from.
    """

@overload
def evaluate(
    source: str | Path,
    data: str,
    task: Literal["linear"] = "linear",
    *,
    label_fraction: float = 1.0,
    untrained: bool = False,
    precision: Literal["fp32", "bf16"] = "fp32",
    batch_size: int = 256,
    data_root: str | PathLike[str] | None = None,
    seed: int = 0,
    test_data: str | PathLike[str] | None = None,
    shots: str | None = None,
    draws: int = 5,
    probe: Literal["lbfgs", "sgd"] = "lbfgs",
    l2: float | None = None,
    epochs: int = 100,
    learning_rate: float = 30.0,
    weight_decay: float = 0.0,
    views: Literal["simclr", "simclr-cifar", "mocov2", "mocov2-cifar", "byol", "dino", "dino-cifar", "adainf", "digits", "none"] | None = None,
) -> dict[str, Any]:
    """What `synthcl eval linear` does.

    Args:
        label_fraction: Part of each class whose labels may be used, drawn by --seed.
        untrained: Evaluate untrained weights instead: the baseline.
        precision: Precision of the encoder; bf16 is quicker and less exact.
        batch_size: Images a forward pass; where the encoder or an SGD probe is trained, at most so many a step.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        seed: Seed that all randomness follows from.
        test_data: Images to score on; the test or validation split of --data if not given.
        shots: Score classifiers of few labels too: of so many images of each class, such as 1,5,10, drawn by --seed
            --draws times.
        draws: Draws for each number of --shots, whose mean and interval are told.
        probe: How the classifier is fitted: lbfgs, exactly, on fixed features; sgd, as is usual in the field, with
            augmentation, through the frozen encoder.
        l2: lbfgs: penalty on the classifier's weights, 1/(C N) of scikit-learn's C, on standardised features; chosen
            of 1, 0.1, ... 1e-6 by cross-entropy on a part of the training images if not given.
        epochs: sgd: passes over the labeled images.
        learning_rate: sgd: learning rate for a batch of 256, scaled with --batch-size; 30 is MoCo's, 0.1 is usual for
            SimCLR.
        weight_decay: sgd: weight decay of the classifier.
        views: sgd: augmentation preset; random crops and flips if not given (digits: crops).
    """

@overload
def evaluate(
    source: str | Path,
    data: str,
    task: Literal["knn"],
    *,
    label_fraction: float = 1.0,
    untrained: bool = False,
    precision: Literal["fp32", "bf16"] = "fp32",
    batch_size: int = 256,
    data_root: str | PathLike[str] | None = None,
    seed: int = 0,
    test_data: str | PathLike[str] | None = None,
    shots: str | None = None,
    draws: int = 5,
    preset: Literal["moco", "dino"] = "moco",
    k: int | None = None,
    temperature: float | None = None,
) -> dict[str, Any]:
    """What `synthcl eval knn` does.

    Args:
        label_fraction: Part of each class whose labels may be used, drawn by --seed.
        untrained: Evaluate untrained weights instead: the baseline.
        precision: Precision of the encoder; bf16 is quicker and less exact.
        batch_size: Images a forward pass; where the encoder or an SGD probe is trained, at most so many a step.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        seed: Seed that all randomness follows from.
        test_data: Images to score on; the test or validation split of --data if not given.
        shots: Score classifiers of few labels too: of so many images of each class, such as 1,5,10, drawn by --seed
            --draws times.
        draws: Draws for each number of --shots, whose mean and interval are told.
        preset: Neighbours and temperature: moco is 200 and 0.1, dino is 20 and 0.07.
        k: Neighbours, instead of the preset's.
        temperature: Temperature of the votes' weights, instead of the preset's.
    """

@overload
def evaluate(
    source: str | Path,
    data: str,
    task: Literal["finetune"],
    *,
    label_fraction: float = 1.0,
    untrained: bool = False,
    precision: Literal["fp32", "bf16"] = "fp32",
    batch_size: int = 256,
    data_root: str | PathLike[str] | None = None,
    seed: int = 0,
    test_data: str | PathLike[str] | None = None,
    preset: Literal["ours", "simclr"] = "ours",
    epochs: int | None = None,
    learning_rate: float | None = None,
    head_learning_rate: float | None = None,
    layer_decay: float | None = None,
    weight_decay: float | None = None,
    views: Literal["simclr", "simclr-cifar", "mocov2", "mocov2-cifar", "byol", "dino", "dino-cifar", "adainf", "digits", "none"] | None = None,
) -> dict[str, Any]:
    """What `synthcl eval finetune` does.

    Args:
        label_fraction: Part of each class whose labels may be used, drawn by --seed.
        untrained: Evaluate untrained weights instead: the baseline.
        precision: Precision of the encoder; bf16 is quicker and less exact.
        batch_size: Images a forward pass; where the encoder or an SGD probe is trained, at most so many a step.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        seed: Seed that all randomness follows from.
        test_data: Images to score on; the test or validation split of --data if not given.
        preset: How it is trained: ours, or simclr, for a part of the labels as in the SimCLR paper: Nesterov
            momentum, 0.05 for a batch of 256 along a cosine, no weight decay, 60 epochs for less than a tenth of the
            labels and 30 from there on.
        epochs: Passes over the labeled images, instead of the preset's.
        learning_rate: Learning rate of the encoder for a batch of 256, scaled with --batch-size; the preset's if not
            given: 0.02 of ours.
        head_learning_rate: Learning rate of the classifier, likewise: 0.2 of ours if not given.
        layer_decay: Vision transformers of timm: each layer learns at this part of the rate of the layer above it;
            0.75 is usual (BEiT, MAE). One rate for all if not given.
        weight_decay: Weight decay of all weights, instead of the preset's: 0.0001 of ours.
        views: Augmentation preset; random crops and flips if not given (digits: crops).
    """

@overload
def evaluate(
    source: str | Path,
    data: Sequence[str],
    task: Literal["transfer"],
    *,
    label_fraction: float = 1.0,
    untrained: bool = False,
    precision: Literal["fp32", "bf16"] = "fp32",
    batch_size: int = 256,
    data_root: str | PathLike[str] | None = None,
    seed: int = 0,
    test_data: Sequence[str | PathLike[str]] = ...,
    suite: Literal["natural", "kornblith", "fine-grained", "small", "vtab-like"] | None = None,
) -> dict[str, Any]:
    """What `synthcl eval transfer` does.

    Args:
        label_fraction: Part of each class whose labels may be used, drawn by --seed.
        untrained: Evaluate untrained weights instead: the baseline.
        precision: Precision of the encoder; bf16 is quicker and less exact.
        batch_size: Images a forward pass; where the encoder or an SGD probe is trained, at most so many a step.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        seed: Seed that all randomness follows from.
        test_data: Images to score on, one for each --data in the same order; their test splits if not given.
        suite: Sets by a common name, instead of --data, with the splits and the measure that are customary for each:
            natural (photographs); kornblith (those of arXiv 1805.08974); fine-grained (kinds of one thing); small (96
            pixels a side at most); vtab-like (1,000 images of each and top-1 alone, as in VTAB, arXiv 1910.04867).
    """

@overload
def evaluate(
    source: str | Path,
    data: str,
    task: Literal["robustness"],
    *,
    label_fraction: float = 1.0,
    untrained: bool = False,
    precision: Literal["fp32", "bf16"] = "fp32",
    batch_size: int = 256,
    data_root: str | PathLike[str] | None = None,
    seed: int = 0,
    test_data: str | PathLike[str] | None = None,
    corruptions: str | None = None,
    severities: str = "1,2,3,4,5",
    l2: float | None = None,
) -> dict[str, Any]:
    """What `synthcl eval robustness` does.

    Args:
        label_fraction: Part of each class whose labels may be used, drawn by --seed.
        untrained: Evaluate untrained weights instead: the baseline.
        precision: Precision of the encoder; bf16 is quicker and less exact.
        batch_size: Images a forward pass; where the encoder or an SGD probe is trained, at most so many a step.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        seed: Seed that all randomness follows from.
        test_data: Images to score on; the test or validation split of --data if not given.
        corruptions: Which, of gaussian-noise, shot-noise, impulse-noise, defocus-blur, motion-blur, gaussian-blur,
            brightness, contrast, fog, jpeg, pixelate; all if not given.
        severities: How strong, of 1 to 5.
        l2: Penalty on the classifier's weights, as of the linear probe; chosen on a part of the training images if
            not given.
    """

@overload
def evaluate(
    source: str | Path,
    data: str,
    task: Literal["quality"],
    *,
    held_out_data: str | PathLike[str] | None = None,
    encoder: str | PathLike[str] = "random:resnet18",
    num_samples: int | None = None,
    k: int = 5,
    per_class: bool = False,
    scores: str | None = None,
    overwrite: bool = False,
    batch_size: int = 256,
    data_root: str | PathLike[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What `synthcl eval quality` does.

    Args:
        held_out_data: Real images it has not seen; the test or validation split of --data if not given.
        encoder: Frozen encoder to measure in: a run of train, best on real images alone, or random:BACKBONE. Numbers
            compare only within one encoder.
        num_samples: Images of each kind at most, 10,000 if not given; the Fréchet distance depends on it.
        k: Neighbour that sets the radius, for precision, recall, density and coverage.
        per_class: Measure each class by itself too, where both kinds of images have labels, the same numbers.
        scores: Keep each sample's scores in the shard set, as a side table of this name.
        overwrite: Replace a table of the name that --scores gives.
        batch_size: Images a forward pass.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        seed: Seed that all randomness follows from.
    """

@overload
def evaluate(
    source: str | Path,
    data: str,
    task: Literal["alignment"],
    *,
    views: Literal["simclr", "simclr-cifar", "mocov2", "mocov2-cifar", "byol", "dino", "dino-cifar", "adainf", "digits", "none"] = "mocov2-cifar",
    num_images: int = 10000,
    batch_size: int = 256,
    data_root: str | PathLike[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What `synthcl eval alignment` does.

    Args:
        views: Augmentation of the positive pairs.
        num_images: Images at most.
        batch_size: Images a forward pass.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        seed: Seed that all randomness follows from.
    """

@overload
def export(run: str | Path, config: ExportConfig, /) -> dict[str, Any]: ...

@overload
def export(
    run: str | Path,
    *,
    out: str | PathLike[str],
    to: Literal["torchvision", "timm", "safetensors"] = "safetensors",
    push: str | None = None,
    private: bool = False,
    license: str | None = None,
) -> dict[str, Any]:
    """Export the encoder of a run; see `synthcl export`.

    Args:
        out: A folder for weights, config.json and a model card; or one file, .safetensors or .pth, with NAME.json and
            NAME.md beside it. An earlier export there is replaced; a folder, NAME.json or NAME.md that is none is
            refused.
        to: Whose names and configuration the weights get: torchvision and timm for the backbones they have too,
            safetensors for any.
        push: Push the result to this repository of the Hugging Face hub too, with a model card; it is made if it does
            not exist. Needs a token that may write, from `hf auth login` or in HF_TOKEN.
        private: Make a new repository on the hub for its owner alone.
        license: The licence that the card states, as the hub writes it: cc-by-4.0, apache-2.0, other.
    """

@overload
def generate(config: GenerateConfig, /) -> dict[str, Any]: ...

@overload
def generate(
    *,
    generator: str | PathLike[str],
    out: str | PathLike[str],
    sampler: Literal["ddim", "dpm"] | None = None,
    sampling_steps: int | None = None,
    generator_precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    classes: Sequence[str] = ...,
    prompts: str | PathLike[str] | None = None,
    guidance_scale: float | None = None,
    image_size: int | None = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    executor: Literal["local", "ray", "slurm"] = "local",
    ray_address: str | None = None,
    ray_workers: int | None = None,
    worker_cpus: float = 1.0,
    worker_gpus: float | None = None,
    num_samples: int | None = None,
    anchors: str | PathLike[str] | None = None,
    anchor_strength: float = 0.5,
    per_anchor: int | None = None,
    data_root: str | PathLike[str] | None = None,
    pairs: bool = False,
    images_per_sample: int | None = None,
    group_by: Literal["latent", "condition"] = "latent",
    pair_strength: float = 0.3,
    write_labels: bool = False,
    samples_per_shard: int = 10000,
    format: Literal["png", "jpg", "webp"] = "png",
    quality: int | None = None,
    batch_size: int = 256,
    num_jobs: int = 1,
    job_index: int = 0,
    partition: str | None = None,
    time: str | None = None,
    slurm_option: Sequence[str] = ...,
    submit: bool = True,
    workers: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Write a shard set or this process's part of one, find it done, or have Slurm write it; see `synthcl generate`.

    Args:
        generator: A generator: a run of `pretrain`, one pushed to the hub (hf://USER/NAME), a diffusers pipeline
            (folder or hub id), or package.module:Class.
        out: Folder of the shard set, or its URL in an object store: s3://BUCKET/SET.
        sampler: Diffusion: solver to sample with; the generator's own if not given, of what pretrain wrote dpm.
            [ddim: 2010.02502, dpm: 2211.01095]
        sampling_steps: Diffusion: steps of the sampler, network evaluations an image; the generator's own if not
            given, of what pretrain wrote 20.
        generator_precision: Precision that the generator computes in; auto is bf16 on a GPU that has it, else fp32.
            fp16 is for drawing alone. Samples of another precision are other samples: a set or a run keeps to one.
        classes: Class-conditional pipelines: what to draw from: a class, a range (0-9), or a text file with one of
            them a line; may be repeated.
        prompts: Text-to-image pipelines: a text file with a prompt a line, or a Parquet file with a column prompt,
            text or caption. Sample i is of prompt i, and so on in turn.
        guidance_scale: Guidance scale, of pipelines with classifier-free guidance.
        image_size: Pretrained pipelines: pixels a side to resize to; their own if not given.
        allow_pickle: Load pickled weights, which can run code; safetensors alone otherwise.
        trust_remote_code: Run code that comes with a pipeline.
        executor: Who writes the set: this process (local), the workers of a Ray cluster, each shard by one that is
            free (ray), or an array of Slurm jobs (slurm).
        ray_address: The Ray cluster: host:port, or auto for the one that was started on this machine. [default: that
            of RAY_ADDRESS, else a new one of this machine alone]
        ray_workers: Workers, each with its model loaded; as many as the cluster has room for if not given.
        worker_cpus: CPUs of each worker.
        worker_gpus: GPUs of each worker; with a part of one, several share it. One, if the cluster has any, if not
            given.
        num_samples: Latents to draw. Must be given, but for --anchors with --per-anchor.
        anchors: Variations of these real images instead of samples: sample i of image i, in turn, which it is a
            positive of in training [CLSP: 2408.16965]. Of diffusion, which puts noise into an image and takes it out
            again.
        anchor_strength: How far a variation is from its image: near 0 the same, at 1 it has nothing of it. Ours.
        per_anchor: Variations of each of the images: that many times as many samples as there are images, in place of
            --num-samples.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        pairs: Two similar images of each latent instead of one.
        images_per_sample: Similar images of each latent, mutual positives: more than the 2 of --pairs.
        group_by: What the images of a sample share: the latent, near which all of them are, or no more than its class
            or prompt [StableRep: 2306.00984].
        pair_strength: How far the others of a sample are from the first: near 0 the same, 1 another sample. A GAN
            draws them from latents that far away; diffusion noises the first that part of the way and denoises it
            again. Ours.
        write_labels: Write what each sample was drawn for into the tars too, as webdataset and datasets read it: its
            class as KEY.cls, its prompt as KEY.txt. The sidecars have both in any case.
        samples_per_shard: Samples in each tar but the last.
        format: Image format; png is lossless.
        quality: Quality of jpg and webp, 1 to 100.
        batch_size: Latents a forward pass.
        num_jobs: Separate jobs that fill the set together, on a shared disk or in an object store: job i of N writes
            the shards i, i + N, ...
        job_index: Which of them this is, from 0.
        partition: Slurm's partition.
        time: Time limit of each Slurm job, as sbatch takes it: 4:00:00. A job that reaches it is begun anew while
            there is progress.
        slurm_option: Another option of sbatch, such as gres=gpu:1; may be repeated.
        submit: Submit the batch script; --no-submit writes it alone.
        workers: Processes that encode images; one a core if not given.
        seed: Seed that all randomness follows from.
    """

@overload
def pretrain(config: PretrainConfig, /) -> dict[str, Any]: ...

@overload
def pretrain(
    *,
    data: str | PathLike[str],
    out: str | PathLike[str],
    sampler: Literal["ddim", "dpm"] | None = None,
    sampling_steps: int | None = None,
    generator_precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    generator: Literal["gan", "diffusion"] = "gan",
    preset: str = "auto",
    flip: bool = False,
    bf16: bool = False,
    image_size: int | None = None,
    steps: int = 20000,
    batch_size: int = 64,
    learning_rate: float | None = None,
    generator_learning_rate: float | None = None,
    discriminator_learning_rate: float | None = None,
    decay: float | None = None,
    ema_decay: float | None = None,
    discriminator_preset: str | None = None,
    gamma: float | None = None,
    final_gamma: float | None = None,
    penalty_every: int | None = None,
    beta1: float | None = None,
    beta2: float | None = None,
    final_beta2: float | None = None,
    augment: str | None = None,
    sample_every: int = 1000,
    data_root: str | PathLike[str] | None = None,
    cache: Literal["auto", "device", "ram", "disk", "none"] = "auto",
    log_every: int = 10,
    eval_every: int | None = None,
    eval_encoder: str | PathLike[str] | None = None,
    eval_samples: int = 5000,
    tracker: Sequence[Literal["tensorboard", "wandb"]] = ...,
    checkpoint_every: int = 1000,
    keep: int = 2,
    push: str | None = None,
    private: bool = False,
    license: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Train a generator, or take up its training, and push it where that is asked for; see `synthcl pretrain`.

    Args:
        data: Images: a name (digits, cifar10, ...), a path (folder, Parquet, WebDataset tars), or one on the hub
            (hf://datasets/USER/NAME); :split may follow, then a part: '[:10%]' in the order of the file,
            '[:10%,shuffled]' at random, '[:10%,balanced]' at random with the same number of each class (',seed=N'
            draws another).
        out: Folder of the run; it is also what --generator takes.
        sampler: Diffusion: solver to sample with; the generator's own if not given, of what pretrain wrote dpm.
            [ddim: 2010.02502, dpm: 2211.01095]
        sampling_steps: Diffusion: steps of the sampler, network evaluations an image; the generator's own if not
            given, of what pretrain wrote 20.
        generator_precision: Precision that the generator computes in; auto is bf16 on a GPU that has it, else fp32.
            fp16 is for drawing alone. Samples of another precision are other samples: a set or a run keeps to one.
        generator: Kind of generator.
        preset: Size of the networks and how they are trained: tiny, small, base (gan: plain and large too). auto is
            plain (gan) or tiny (diffusion) up to 16 pixels, and on a CPU at any size, else base.
        flip: Diffusion: mirror half of the images, where left and right mean the same.
        bf16: Former name of --generator-precision bf16.
        image_size: Pixels a side; others are resized and centre-cropped. The images' own size if not given.
        steps: Updates of the generator.
        batch_size: Real images a step, over all processes.
        learning_rate: Learning rate of all the networks; the preset's if not given.
        generator_learning_rate: GAN: learning rate of the generator alone, instead of --learning-rate.
        discriminator_learning_rate: GAN: learning rate of the discriminator alone, instead of --learning-rate.
        decay: Last part of the steps over which learning rates fall to 0, along a half cosine; 0 is none, and the
            preset's if not given.
        ema_decay: Decay of the moving average of weights; the preset's if not given.
        discriminator_preset: GAN: size and learning rate of the discriminator (plain, tiny, small, base, large);
            those of --preset if not given.
        gamma: GAN: weight of the gradient penalties on the discriminator; the preset's if not given.
        final_gamma: GAN: what --gamma comes to at the last step, by an equal factor each step.
        penalty_every: GAN: gradient penalties on one step in N, with N times the weight (lazy regularisation); the
            preset's if not given.
        beta1: GAN: beta1 of Adam; the preset's if not given.
        beta2: GAN: beta2 of Adam; the preset's if not given.
        final_beta2: GAN: what --beta2 comes to at the last step, 1 - beta2 by an equal factor each step.
        augment: GAN: what the discriminator sees is augmented by: colour, translation, cutout, with commas between
            them, or none; the preset's if not given.
        sample_every: Steps between sample grids (samples/*.png).
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        cache: Where decoded images stay: device; ram; disk, in a file that all processes and runs share (not of sets
            at URLs); none; auto, the first where they fit.
        log_every: Steps between rows of metrics.jsonl.
        eval_every: Steps between measurements of samples against real images: Fréchet distance, precision and recall
            in the features of --eval-encoder; at the end alone if not given.
        eval_encoder: An encoder of real images alone to measure samples with: a run of `synthcl train`, or
            random:BACKBONE, of random weights.
        eval_samples: Samples to measure in the features of --eval-encoder, and real images to compare them with; at
            most half of those there are.
        tracker: Send metrics and options to a tracker too; may be repeated. tensorboard writes to RUN/tensorboard.
        checkpoint_every: Steps between checkpoints.
        keep: How many checkpoints to keep, the newest ones.
        push: Push the result to this repository of the Hugging Face hub too, with a model card; it is made if it does
            not exist. Needs a token that may write, from `hf auth login` or in HF_TOKEN.
        private: Make a new repository on the hub for its owner alone.
        license: The licence that the card states, as the hub writes it: cc-by-4.0, apache-2.0, other.
        seed: Seed that all randomness follows from.
    """

@overload
def train(config: TrainConfig, /) -> dict[str, Any]: ...

@overload
def train(
    *,
    data: str | PathLike[str],
    out: str | PathLike[str],
    sampler: Literal["ddim", "dpm"] | None = None,
    sampling_steps: int | None = None,
    generator_precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    classes: Sequence[str] = ...,
    prompts: str | PathLike[str] | None = None,
    guidance_scale: float | None = None,
    pairs: bool = True,
    images_per_sample: int | None = None,
    pair_strength: float | None = None,
    pair_ema_decay: float = 0.999,
    pair_similarity: str | None = None,
    hard: bool = True,
    hard_objective: Literal["loss", "real-negatives", "alignment"] = "loss",
    hard_weight: float = 1.0,
    hardness_clip: float = 0.5,
    hardness_clip_on: Literal["images", "parameters"] = "images",
    hard_centred: bool = True,
    hard_gate: float | None = None,
    hard_ramp: float = 0.1,
    hard_freeze: float = 0.0,
    hard_on: Literal["weights", "latents"] = "weights",
    latent_radius: float = 0.3,
    pair_floor: float | None = None,
    hard_guard: bool = True,
    eval_encoder: str | PathLike[str] | None = None,
    eval_samples: int = 5000,
    guard_every: int | None = None,
    guard_goes_back: bool = True,
    generator_learning_rate: float | None = None,
    discriminator_learning_rate: float | None = None,
    discriminator_augment: str = "auto",
    lora_rank: int | None = None,
    gradient_steps: int | None = None,
    recipe: Literal["adainf"] | None = None,
    synthetic_ratio: float = 0.5,
    resize_samples: bool = False,
    synthetic_loss: Literal["ppcl", "clsp"] = "ppcl",
    synthetic_weight: float | None = None,
    synthetic_negatives: bool = True,
    separate_batchnorm: bool = False,
    learner: Literal["simclr", "moco", "mocov3", "nnclr", "dino", "supcon", "byol", "simsiam", "barlow", "vicreg"] | str = "simclr",
    learner_option: dict[str, Any] = ...,
    backbone: str = "resnet18",
    temperature: float | None = None,
    queue_size: int | None = None,
    views: Literal["simclr", "simclr-cifar", "mocov2", "mocov2-cifar", "byol", "dino", "dino-cifar", "adainf", "digits", "none"] | None = None,
    views_per_image: int = 2,
    view_size: int | None = None,
    local_views: int = 0,
    local_size: int | None = None,
    adversarial: float | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 256,
    accumulate: int = 1,
    image_size: int | None = None,
    optimizer: Literal["sgd", "lars", "adamw"] | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    decay_norms: bool | None = None,
    layer_decay: float | None = None,
    clip_gradients: float | None = None,
    warmup_epochs: float = 10.0,
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    compile: bool = False,
    sync_batchnorm: bool = True,
    cache: Literal["auto", "device", "ram", "disk", "none"] = "auto",
    data_root: str | PathLike[str] | None = None,
    sample_every: int = 1000,
    log_every: int = 10,
    eval_every: int | None = None,
    watch_features: int | None = None,
    tracker: Sequence[Literal["tensorboard", "wandb"]] = ...,
    checkpoint_every: int = 1000,
    keep: int = 2,
    seed: int = 0,
    shards: Sequence[str | PathLike[str]] = ...,
    shards_per_window: int | None = None,
    online: bool = False,
    fresh: bool = False,
    generator: str | PathLike[str] | None = None,
    replay: str | PathLike[str] | None = None,
    record: str | PathLike[str] | None = None,
    anchored: bool = True,
    synthetic_classes: bool = False,
    where: str | None = None,
) -> dict[str, Any]:
    """Train an encoder in the regime that the options name, or take up its training; see `synthcl train`.

    Args:
        data: Images: a name (digits, cifar10, ...), a path (folder, Parquet, WebDataset tars), or one on the hub
            (hf://datasets/USER/NAME); :split may follow, then a part: '[:10%]' in the order of the file,
            '[:10%,shuffled]' at random, '[:10%,balanced]' at random with the same number of each class (',seed=N'
            draws another).
        out: Folder of the run.
        sampler: Diffusion: solver to sample with; the generator's own if not given, of what pretrain wrote dpm.
            [ddim: 2010.02502, dpm: 2211.01095]
        sampling_steps: Diffusion: steps of the sampler, network evaluations an image; the generator's own if not
            given, of what pretrain wrote 20.
        generator_precision: Precision that the generator computes in; auto is bf16 on a GPU that has it, else fp32.
            fp16 is for drawing alone. Samples of another precision are other samples: a set or a run keeps to one.
        classes: Class-conditional pipelines: what to draw from: a class, a range (0-9), or a text file with one of
            them a line; may be repeated.
        prompts: Text-to-image pipelines: a text file with a prompt a line, or a Parquet file with a column prompt,
            text or caption. Sample i is of prompt i, and so on in turn.
        guidance_scale: Guidance scale, of pipelines with classifier-free guidance.
        pairs: Two similar images of each latent, mutual positives: of the generator and its moving average (online),
            or of two latents near each other (fresh).
        images_per_sample: Fresh: similar images of each latent, mutual positives; the 2 of a pair if not given.
            Online always has 2, the generator's and its moving average's: that is the method (arXiv 2202.06464).
        pair_strength: How far the latent of a pair's second image is from the first's: 0 is the same, 1 another.
            [default: 0.3 for fresh, 0 for online]
        pair_ema_decay: Decay of the moving average that gives the second image of a pair.
        pair_similarity: Target of the pair's cosine similarity, from A at the start to B at the end; the decay
            follows it.
        hard: Train the generator towards samples that are hard for the learner.
        hard_objective: What the generator raises: the learner's whole loss, each latent's own loss against real
            negatives, or the distance between each latent's views. With --synthetic-weight W real views count 1 / W
            in the whole loss.
        hard_weight: Factor on the learner's gradient in the generator's, before --hardness-clip bounds it. Where the
            bound cuts every image (hard_clipped 1 in metrics.jsonl, usual with the defaults) it changes nothing:
            change that.
        hardness_clip: Bound of the learner's gradient, as a multiple of the realism gradient.
        hardness_clip_on: Where that bound is taken: on each image's gradients, or on those of the generator's
            parameters.
        hard_centred: Take off what the learner's gradients of all samples have in common.
        hard_gate: Drop the learner's gradient of latents whose loss exceeds that of real images by more than this, in
            the loss's own unit (nats); no gate if not given.
        hard_ramp: Part of training over which the bound rises from 0.
        hard_freeze: Last part of training without the learner's gradient.
        hard_on: What is moved towards harder samples: the generator's weights, or each latent by itself, for one more
            pass through the learner.
        latent_radius: How far a latent moves with --hard-on latents, as a part of its length.
        pair_floor: Drop the learner's gradient of latents whose pair has a cosine similarity below this.
        hard_guard: Hold hardness back while the generator leaves its band: a discriminator at chance, samples that
            vary much less or more in colour than real images, or a Fréchet distance that grows. Without it hardness
            keeps its weight whatever comes.
        eval_encoder: Measure the generator's samples against real images in the features of this encoder, of real
            images alone (a run of `synthcl train`, or random:BACKBONE, of random weights, which sees a drift too),
            and hold hardness back while their Fréchet distance grows.
        eval_samples: Samples to measure in the features of --eval-encoder, and real images to compare them with; at
            most half of those there are.
        guard_every: Steps between measurements with --eval-encoder; a twentieth of the training if not given.
        guard_goes_back: Bring the generator back to its weights of the last good measurement when --eval-encoder
            finds its Fréchet distance far beyond the least, and leave a tenth of hardness. Without it hardness alone
            gives way.
        generator_learning_rate: Learning rate of all that the generator trains, of a GAN its discriminator too (as
            --learning-rate of pretrain); what each was pretrained with if not given.
        discriminator_learning_rate: GAN: learning rate of the discriminator, where it is to be another than
            --generator-learning-rate.
        discriminator_augment: GAN: what the discriminator sees is augmented by: colour, translation, cutout, with
            commas between them, or none; pretrained is what it was pretrained with. auto is all three where it is to
            see each real image more than 100 times, since it learns them by heart without, and pretrained in shorter
            trainings.
        lora_rank: Diffusion: train adapters of this rank instead of all weights.
        gradient_steps: Diffusion: last sampling steps that carry the gradient (DRaFT-K, arXiv 2309.17400), 1 if not
            given; memory and time grow with it.
        recipe: Published way to use generated images, as the options that it sets: adainf is --views adainf,
            --synthetic-ratio 2 and --no-pairs, with samples treated as real images are.
        synthetic_ratio: Latents a real image: 0.5 is one for two images.
        resize_samples: Bring samples of another size to that of the real images, bilinearly with antialiasing, where
            they would be refused without.
        synthetic_loss: Loss of synthetic views: ppcl, the paper's (arXiv 2202.06464), which is the learner's own, as
            for real views; or clsp (simclr, moco, supcon), which draws a latent's views together and uses none as a
            negative.
        synthetic_weight: Weight of the mean loss of synthetic views beside the mean loss of real ones; if not given,
            one mean over all views, and for clsp its authors' weight: 1 for simclr, 0.5 for moco.
        synthetic_negatives: Compare real views with synthetic ones too, as negatives (simclr, supcon).
        separate_batchnorm: Normalise synthetic views by themselves; running statistics follow the real ones.
        learner: Method of contrastive learning, or a class of your own.
        learner_option: Set one of the method's own numbers, such as momentum=0.999 (moco, mocov3, byol, dino) or
            off_diagonal_weight=0.01 (barlow); may be repeated. A name that the method does not have is answered with
            those that it has.
        backbone: Encoder: resnet10 (one block a stage, ours), resnet18, resnet34, resnet50, timm:NAME; -wN makes it N
            channels wide in the first stage instead of 64 (resnet10-w16).
        temperature: Temperature of the loss; the method's own if not given.
        queue_size: Negatives in the queue (moco), or embeddings in the support set (nnclr); the method's own if not
            given.
        views: Augmentation preset; the learner's published one if not given.
        views_per_image: Views of each image in a step, real or synthetic; all of an image's views are positives.
        view_size: Pixels a side of views, which are what the encoder takes, cropped from images of --image-size: 224
            from 256 is usual. As many as the images have if not given.
        local_views: Small views of small parts of each image, beside the others (multi-crop, dino): the student sees
            all, the teacher the others alone. Their authors take 6 to 10.
        local_size: Pixels a side of local views; if not given 96 of 224, and in proportion 16 of 32. A vision
            transformer takes multiples of its patches.
        adversarial: Train on adversarial views of the real images too (CLAE, arXiv 2010.12050), each pixel moved by
            this part of its range towards a higher loss, for one more forward and backward pass. CLAE's 0.03 of [-1,
            1] is 0.015 here.
        epochs: Passes over the real images; give this or --steps.
        steps: Optimizer steps, instead of --epochs.
        batch_size: Real images a step, over all processes.
        accumulate: Parts in which a batch goes through the encoder, to save memory, for one more forward pass. Loss
            and gradient are those of the whole batch, with all its negatives; batch statistics are each part's.
        image_size: Pixels a side; others are resized and centre-cropped. The images' own size if not given.
        optimizer: Optimizer of the learner, with its own learning rate and weight decay; the method's own if not
            given.
        learning_rate: Learning rate for a batch of 256, scaled with --batch-size; the optimizer's own if not given.
        weight_decay: Weight decay; the optimizer's own if not given.
        decay_norms: Weight decay on biases and normalisation layers too; the optimizer's own way if not given.
        layer_decay: Vision transformers of timm: each layer learns at this part of the rate of the layer above it;
            0.75 is usual (BEiT, MAE). One rate for all if not given.
        clip_gradients: Maximum gradient norm of the learner (2-norm over all weights); no clipping if not given.
        warmup_epochs: Epochs of linear warm-up, or a tenth of the training where that is less; 10 is solo-learn's.
        precision: Precision that the learner computes in; auto is bf16 where the device has it, else fp32.
        compile: Compile the learner and the views with torch.compile: minutes before the first steps. It pays for
            small images on a CPU; on a GPU it has not been timed. The generator stays as it is: compiled, it was
            slower on a CPU. Not with --accumulate or --adversarial, which torch.compile does not take.
            TORCHINDUCTOR_CUDAGRAPHS=1 in the environment has it launch CUDA graphs, which nobody has run yet.
        sync_batchnorm: Take batch statistics over all processes rather than each its own.
        cache: Where decoded images stay: device; ram; disk, in a file that all processes and runs share (not of sets
            at URLs); none; auto, the first where they fit.
        data_root: Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]
        sample_every: Steps between pictures of the generator's pairs (samples/*.png).
        log_every: Steps between rows of metrics.jsonl.
        eval_every: Steps between measurements of the accuracy of nearest neighbours (knn_top1 in metrics.jsonl), on
            parts of the train and test split of --data, which need labels; never if not given.
        watch_features: Steps between measurements of the features of some training images (RankMe, alignment,
            uniformity, spread), which tell of collapse; none if not given.
        tracker: Send metrics and options to a tracker too; may be repeated. tensorboard writes to RUN/tensorboard.
        checkpoint_every: Steps between checkpoints.
        keep: How many checkpoints to keep, the newest ones.
        seed: Seed that all randomness follows from.
        shards: A shard set of synthetic samples to stream (offline): a folder, or a URL such as s3://BUCKET/SET. May
            be repeated.
        shards_per_window: Read --shards in windows: this many shards are mixed with each other, then the next. More
            mix better, and need more of the cache or of the free memory. At URLs it is 8 if not given (ours). The
            samples of folders are mixed as one if it is not given; give it where reads in any order are slow
            (spinning disks, network file systems).
        online: Train the generator jointly and draw samples from it at each step.
        fresh: Draw new samples at each step from a generator that stays as it is.
        generator: The generator of --online and --fresh: a run of `pretrain` or of `train --online`, or one pushed to
            the hub (hf://USER/NAME). --online also takes a local folder of a diffusers pipeline that can learn,
            --fresh any pipeline, a hub id and package.module:Class.
        replay: A recording of an --online or --fresh run (--record), fed back in its order.
        record: Write every synthetic sample that the learner sees in an --online or --fresh run to a shard set.
        anchored: Take samples that are variations of real images (`generate --anchors`) for positives of those, and
            not for images of their own.
        synthetic_classes: Take the classes that samples were drawn for as labels, the same numbers as those of the
            real images (supcon): of sets and recordings the column class, of a generator its --classes.
        where: Take only samples of --shards that meet an SQL condition on their columns.
    """
