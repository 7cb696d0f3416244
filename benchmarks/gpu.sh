#!/usr/bin/env bash
# Everything that has to be measured on a GPU, in stages of at most nine minutes.
#
#   benchmarks/gpu.sh STAGE OUT [--data SPEC] [--wheels DIR] [--seconds N]
#
# | stage | what | result |
# |---|---|---|
# | wheels | with a network: fetch the packages that a bare machine lacks into --wheels | DIR/*.whl |
# | check | what is installed; whether a step waits for the GPU, in each regime, for SimCLR and MoCo v2 | environment.json, waiting-*.jsonl |
# | precision | generators drawing in fp32 and in bf16; the online step in both; a GAN compiled | precision.jsonl, precision-*.jsonl, compiled.json |
# | joint-simclr, joint-moco | joint_step.py, ResNet-18 and the GAN `base` | joint-*.jsonl |
# | training | training.py against lightly, solo-learn's recipe, the bare step and scikit-learn | training.jsonl |
# | compiled | joint_step.py with --compile, and with CUDA graphs too (torch's TORCHINDUCTOR_CUDAGRAPHS=1) | compiled-*.jsonl |
# | views | views.py, compiled views too | views.json |
# | decode | shards.py decode: JPEG files of 224 pixels to the GPU, decoded on all cores or by nvJPEG | decode.json |
# | scale | scale.py: memory and time of a step as a set grows to 10 million samples | scale.json |
# | gan | the generator of the study: GAN `base` at 32 pixels | work/gan |
# | study-LEARNER-ARM | simclr, moco; real, real-equal-views, fresh, online: a training and two probes | study.jsonl |
# | table | what study.jsonl says | stdout |
# | all | all but wheels, in this order, until --seconds are over | |
#
# SPEC holds images with the splits train and test (cifar10, or a folder of its Parquet files). A stage that is called
# again goes on: results that stand in OUT are not measured again, and trainings continue from their checkpoints. Exit
# code 75 says that --seconds (540) were too few for it: call it again. OUT/*.jsonl are the results, small; OUT/work can
# be as large as several checkpoints.
#
# The machine needs Python >= 3.10 with torch, torchvision, accelerate, pyarrow, scikit-learn and timm; the package is
# taken from this repository as it lies, and from DIR what else it needs. PYTHON names another interpreter.
#
# STEPS of the trainings: EPOCHS (25), GAN_STEPS (10000), SEED (0) in the environment. They are ours, chosen so that a
# stage should fit; none has been measured yet. TOY=1 does every stage at toy length, on the CPU, with digits.
set -euo pipefail

usage="usage: benchmarks/gpu.sh STAGE OUT [--data SPEC] [--wheels DIR] [--seconds N]"
stage=${1:?$usage}
out=${2:?$usage}
shift 2
data=cifar10 wheels= seconds=540
while (($#)); do
    case $1 in
    --data) data=${2:?$usage} ;;
    --wheels) wheels=${2:?$usage} ;;
    --seconds) seconds=${2:?$usage} ;;
    *)
        echo "unknown option $1; $usage" >&2
        exit 2
        ;;
    esac
    shift 2
done
python=${PYTHON:-python3}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
work=$out/work
seed=${SEED:-0}
mkdir -p "$work"
deadline=$((SECONDS + seconds))

if [[ ${TOY:-} == 1 ]]; then
    data=digits device=cpu image_size=8
    backbone=resnet10-w8 batch=16 preset=tiny diffusion=tiny clock=cpu
    round=(--rounds 1 --warmup 0 --steps 2)
    gan_length=(--steps 2 --batch-size 8)
    length=(--steps 2)
    probes=(--num-train 400 --num-test 100 --neighbours 20)
    workers=0
    views=(--size 8 --batch-size 8 --rounds 2 --warmup 1)
    samples=8
    compiled=(--rounds 1 --calls 1 --batch-size 8)
    decode=(--image-size 32 --num-samples 64)
    scale=(--samples 20,40 --per-shard 20 --batch-size 8 --steps 8 --rounds 1)
else
    device=cuda image_size=32
    backbone=resnet18 batch=512 preset=base diffusion=small clock=wall
    round=(--rounds 5 --warmup 2 --steps 10)
    gan_length=(--steps "${GAN_STEPS:-10000}" --batch-size 128)
    length=(--epochs "${EPOCHS:-25}")
    probes=(--num-train 50000 --num-test 10000)
    workers=0,$(nproc)
    views=(--size 32 --batch-size 512 --compiled)
    samples=256
    compiled=(--batch-size 128)
    decode=(--image-size 224 --num-samples 4000)
    scale=(--samples 100000,1000000,10000000 --image-size 32 --backbone resnet18 --batch-size 256)
fi

say() { echo "$*" >&2; }

# Do a command with the time that is left; a training saves and ends with 75 when it is over.
within() {
    local left=$((deadline - SECONDS)) code=0
    if ((left < 15)); then
        say "stage $stage: the time is over before all is done; call it again"
        exit 75
    fi
    timeout --signal=USR1 --kill-after=30 "$left" "$@" || code=$?
    # 124: ended by the signal, as what does not train is.
    if ((code == 75 || code == 124 || code == 137)); then
        say "stage $stage: the time is over before all is done; call it again"
        exit 75
    fi
    return $code
}

# The package and what it needs, without installing into the machine's own environment.
prepare() {
    # Outside OUT; made anew for other wheels, and where it is missing.
    site=${TMPDIR:-/tmp}/synthcl-site-$(id -u)-$(echo "$root $wheels $(ls "${wheels:-/}")" | cksum | cut -d' ' -f1)
    if [[ ! -e $site/made ]]; then
        rm -rf "$site"
        mkdir -p "$site/synthcl"
        for folder in cli pipeline generators learners; do ln -s "$root/$folder" "$site/synthcl/$folder"; done
        # Shard sets record the version of the package, which they ask the installation for.
        version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/pyproject.toml")
        mkdir "$site/synthcl-$version.dist-info"
        printf 'Metadata-Version: 2.1\nName: synthcl\nVersion: %s\n' "$version" >"$site/synthcl-$version.dist-info/METADATA"
        if [[ -n $wheels ]]; then
            "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl
        fi
        touch "$site/made"
    fi
    export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
}

synthcl() { within "$python" -m synthcl.cli "$@"; }
benchmark() { within "$python" "$here/$@"; }

# Those of the names, of which no line of the file has this value at this key; with commas between.
missing() { # FILE KEY NAME...
    local file=$1 key=$2 found=()
    shift 2
    for name in "$@"; do grep -qs "\"$key\": \"$name\"" "$file" || found+=("$name"); done
    (IFS=,; echo "${found[*]-}")
}

joint() { # FILE REGIMES OPTION...
    local file=$1 left
    # shellcheck disable=SC2086
    left=$(missing "$file" regime $2)
    shift 2
    [[ -n $left ]] || return 0
    benchmark joint_step.py --regimes "$left" --device $device --data "$data" --backbone $backbone \
        --image-size $image_size --batch-size $batch --gan-preset $preset --diffusion-preset $diffusion \
        --clock $clock "${round[@]}" "$@" >>"$file"
}

stage_wheels() {
    : "${wheels:?the stage wheels needs --wheels DIR}"
    mkdir -p "$wheels"
    local fetch=("$python" -m pip download --quiet --only-binary=:all: --dest "$wheels" --python-version 3.12
        --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64
        --platform manylinux2014_x86_64)
    # Each by itself: what it needs is on the machine, named here, or for what no stage does (DuckDB, hydra).
    "${fetch[@]}" --no-deps diffusers importlib_metadata webdataset braceexpand simplejpeg deflate lightly omegaconf \
        annotated-types typing-inspection
    # Two that have to fit each other.
    "${fetch[@]}" pydantic
    rm -f "$wheels"/typing_extensions-*.whl
    ls -l "$wheels"
}

stage_check() {
    benchmark speed.py >"$out/environment.json"
    for learner in simclr moco; do
        joint "$out/waiting-$learner.jsonl" "real offline fresh online online-diffusion" --learner $learner --no-waiting
    done
}

stage_precision() {
    if [[ ! -s $out/precision.jsonl ]]; then
        benchmark generators.py gan:$preset:$image_size diffusion:$diffusion:$image_size --device $device \
            --precisions fp32,bf16 --solvers dpm:10 --batch-size $samples --rounds 3 --clock $clock \
            >"$work/precision.jsonl"
        mv "$work/precision.jsonl" "$out/precision.jsonl"
    fi
    for precision in fp32 bf16; do
        joint "$out/precision-$precision.jsonl" "online online-diffusion" --generator-precision $precision
    done
    if [[ ! -s $out/compiled.json ]]; then
        benchmark compiled_generator.py --presets $preset --image-size $image_size --device $device "${compiled[@]}" \
            >"$work/compiled.json"
        mv "$work/compiled.json" "$out/compiled.json"
    fi
}

stage_joint() { # LEARNER
    joint "$out/joint-$1.jsonl" "real offline fresh online online-diffusion" --learner "$1"
}

stage_training() {
    local file=$out/training.jsonl learners parts common
    common=(--device $device --data "$data" --backbone $backbone --image-size $image_size --batch-size $batch
        --clock $clock "${round[@]}" "${probes[@]}")
    learners=$(missing "$file" what "pipeline, simclr" "pipeline, moco" | sed 's/pipeline, //g')
    if [[ -n $learners ]]; then
        benchmark training.py --parts pipeline --learners "$learners" --workers "$workers" "${common[@]}" >>"$file"
    fi
    parts=$(missing "$file" part probe knn start)
    if [[ -n $parts ]]; then
        benchmark training.py --parts "$parts" "${common[@]}" >>"$file"
    fi
}

stage_compiled() {
    joint "$out/compiled-plain.jsonl" "real offline fresh online" --set compile=true
    # Work as a whole graph, launched at once: for shapes that stay, as a step's do.
    TORCHINDUCTOR_CUDAGRAPHS=1 joint "$out/compiled-graphs.jsonl" "real offline fresh online" --set compile=true
}

stage_views() {
    [[ -s $out/views.json ]] && return 0
    benchmark views.py --device $device "${views[@]}" >"$work/views.json"
    mv "$work/views.json" "$out/views.json"
}

stage_decode() {
    [[ -s $out/decode.json ]] && return 0
    benchmark shards.py decode --data "$data" "${decode[@]}" >"$work/decode.json"
    mv "$work/decode.json" "$out/decode.json"
}

stage_scale() {
    [[ -s $out/scale.json ]] && return 0
    benchmark scale.py --data "$data" --ranks "" "${scale[@]}" >"$work/scale.json"
    mv "$work/scale.json" "$out/scale.json"
}

stage_gan() {
    synthcl pretrain --data "$data" --image-size $image_size --preset $preset --seed "$seed" --keep 1 \
        --checkpoint-every 2000 --log-every 100 --out "$work/gan-$seed" "${gan_length[@]}" --json
}

stage_study() { # LEARNER ARM
    local learner=$1 arm=$2 run=$work/$1-$2-$seed regime=() probe
    local name=$learner-$arm-$seed
    grep -qs "\"name\": \"$name\"" "$out/study.jsonl" && return 0
    case $arm in
    real) ;;
    # As many views of real images as the other arms have of both: 2 B + 4 B / 2.
    real-equal-views) regime=(--views-per-image 4) ;;
    fresh | online)
        stage_gan >"$work/gan-$seed.json"
        regime=("--$arm" --generator "$work/gan-$seed")
        ;;
    *)
        say "unknown arm $arm; choose real, real-equal-views, fresh or online"
        exit 2
        ;;
    esac
    synthcl train --data "$data" --image-size $image_size --learner "$learner" --backbone $backbone \
        --batch-size $batch --seed "$seed" --keep 1 --checkpoint-every 500 --log-every 50 --out "$run" "${length[@]}" \
        "${regime[@]}" --json >"$run.train.json"
    for probe in linear knn; do synthcl eval $probe "$run" --data "$data" --json >"$run.$probe.json"; done
    "$python" - "$name" "$learner" "$arm" "$seed" "$run" >>"$out/study.jsonl" <<'END'
import json, pathlib, sys

from synthcl.pipeline.runtime.environment import record_environment

name, learner, arm, seed, run = sys.argv[1:]
parts = {part: json.loads(pathlib.Path(f"{run}.{part}.json").read_text()) for part in ("train", "linear", "knn")}
rows = pathlib.Path(run, "metrics.jsonl").read_text().splitlines()
row = {"name": name, "learner": learner, "arm": arm, "seed": int(seed), **parts, "last": json.loads(rows[-1])}
print(json.dumps(row | record_environment()))
END
}

stage_table() {
    "$python" - "$out/study.jsonl" <<'END'
import json, pathlib, sys

print("| learner | arm | seed | epochs | linear top-1 % | kNN top-1 % | training s | images/s |")
print("|---|---|---|---|---|---|---|---|")
for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
    row = json.loads(line)
    train, linear, knn = row["train"], row["linear"], row["knn"]
    print(
        f"| {row['learner']} | `{row['arm']}` | {row['seed']} | {train['epochs']:g} | {100 * linear['top1']:.2f} "
        f"| {100 * knn['top1']:.2f} | {train['seconds']:,.0f} | {train['images_per_second']:,.0f} |"
    )
END
}

stages() {
    printf '%s\n' check precision joint-simclr joint-moco training compiled views decode scale gan
    printf 'study-%s\n' {simclr,moco}-{real,real-equal-views,fresh,online}
    echo table
}

run_stage() {
    stage=$1
    say "stage $stage"
    case $stage in
    wheels | check | precision | training | compiled | views | decode | scale | gan | table) "stage_$stage" ;;
    joint-simclr | joint-moco) stage_joint "${stage#joint-}" ;;
    study-simclr-* | study-moco-*)
        local rest=${stage#study-}
        stage_study "${rest%%-*}" "${rest#*-}"
        ;;
    *)
        say "unknown stage $stage; choose wheels, all or one of: $(stages | paste -sd' ')"
        exit 2
        ;;
    esac
}

[[ $stage == wheels ]] || prepare
if [[ $stage == all ]]; then
    for each in $(stages); do run_stage "$each"; done
else
    run_stage "$stage"
fi
