#!/usr/bin/env bash
# A diffusion generator on real images through the command line alone: it trains, is stopped by SIGINT and by kill -9,
# ends with the weights of the run that nothing stopped, and its samples are sharded, single and in pairs, by one process,
# by two jobs, and by one that is killed, always to the same bytes.
#
#   SYNTHCL_DATA=folder/of/data benchmarks/diffusion.sh OUT cifar10|tiny-imagenet
#
# SYNTHCL_DATA holds cifar10/ as Parquet and tiny-imagenet-20/ as tars. Short enough for one CPU core: it shows that every
# stage works, not how good samples become. Each line of output is one result; benchmarks/generators.md records them.
set -euo pipefail
out=${1:?usage: benchmarks/diffusion.sh OUT cifar10|tiny-imagenet}
root=${SYNTHCL_DATA:?SYNTHCL_DATA must point at the folder that holds the data}
case ${2:-} in
cifar10)
    data=(--data "$root/cifar10")
    length=(--steps 300 --batch-size 32 --checkpoint-every 100 --sample-every 300)
    stops=(130 240)
    ;;
tiny-imagenet)
    data=(--data "$root/tiny-imagenet-20/train-{000000..000003}.tar")
    length=(--steps 90 --batch-size 16 --checkpoint-every 30 --sample-every 90)
    stops=(40 70)
    ;;
*)
    echo "the second argument is cifar10 or tiny-imagenet, not ${2:-missing}" >&2
    exit 2
    ;;
esac
mkdir -p "$out"
pretrain=(synthcl pretrain --generator diffusion --preset tiny --flip --generator-precision bf16 --sampler dpm --sampling-steps 10)
pretrain+=("${data[@]}" "${length[@]}" --log-every 10 --json)
num_samples=240
generate=(synthcl generate --generator "$out/straight" --num-samples $num_samples --samples-per-shard 40 --batch-size 20)
generate+=(--workers 0 --json)

# Run a command until a file pattern or a step is there, then send it a signal.
stop_when() { # SIGNAL CONDITION COMMAND...
    local signal=$1 condition=$2 process
    shift 2
    "$@" >"$out/stopped.log" 2>&1 &
    process=$!
    until eval "$condition"; do
        kill -0 $process 2>/dev/null || { cat "$out/stopped.log" >&2; echo "it ended before it was stopped" >&2; exit 1; }
        sleep 0.1
    done
    kill "-$signal" $process
    wait $process || echo "$signal: exit code $?; $(grep -h Error: "$out/stopped.log" || echo 'no last words')"
}

same() { # WHAT A B PATTERN
    local files=0
    while IFS= read -r file; do
        cmp "$2/$file" "$3/$file"
        files=$((files + 1))
    done < <(cd "$2" && find . -name "$4" -not -path '*/checkpoints/*' | sort)
    test $files -gt 0
    echo "$1: $files files $4 are equal byte by byte"
}

"${pretrain[@]}" --out "$out/straight"
reached() { echo "grep -q '\"step\": $1,' '$out/stopped/metrics.jsonl' 2>/dev/null"; }
stop_when INT "$(reached "${stops[0]}")" "${pretrain[@]}" --out "$out/stopped"
stop_when KILL "$(reached "${stops[1]}")" "${pretrain[@]}" --out "$out/stopped"
"${pretrain[@]}" --out "$out/stopped"
same "resumed twice against uninterrupted" "$out/straight" "$out/stopped" '*.safetensors'
same "resumed twice against uninterrupted" "$out/straight" "$out/stopped" 'metrics.jsonl'

synthcl preview --generator "$out/straight" --out "$out/samples.png" --num-samples 32
for kind in single pairs; do
    options=()
    test $kind = single || options=(--pairs --pair-strength 0.3)
    "${generate[@]}" "${options[@]}" --out "$out/$kind"
    "${generate[@]}" "${options[@]}" --out "$out/$kind-jobs" --num-jobs 2 --job-index 0 >/dev/null &
    "${generate[@]}" "${options[@]}" --out "$out/$kind-jobs" --num-jobs 2 --job-index 1 >/dev/null
    wait
    same "$kind, two jobs against one" "$out/$kind" "$out/$kind-jobs" '*.tar'
    stop_when KILL "test -e '$out/$kind-killed/000002.tar'" "${generate[@]}" "${options[@]}" --out "$out/$kind-killed"
    "${generate[@]}" "${options[@]}" --out "$out/$kind-killed"
    same "$kind, killed against uninterrupted" "$out/$kind" "$out/$kind-killed" '*.tar'
    synthcl shards verify "$out/$kind"
done
