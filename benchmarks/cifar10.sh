#!/usr/bin/env bash
# The main job on CIFAR-10 through the command line alone: pretrain, generate, train in each regime, evaluate.
#
#   SYNTHCL_DATA=folder/of/data benchmarks/cifar10.sh OUT [small|full]
#
# SYNTHCL_DATA holds cifar10/ as Parquet. `small` shows on two CPU cores that every stage works; `full` wants a GPU.
# Run again, it continues. Each line of output is one result; benchmarks/before.md records them.
set -euo pipefail
out=${1:?usage: benchmarks/cifar10.sh OUT [small|full]}
data=${SYNTHCL_DATA:?SYNTHCL_DATA must point at the folder that holds cifar10/}/cifar10
case ${2:-small} in
small)
    gan=(--preset tiny --steps 500 --batch-size 32)
    num_samples=5000
    common=(--backbone resnet10-w16 --steps 300 --batch-size 64)
    ;;
full)
    gan=(--preset base --steps 60000 --batch-size 128)
    num_samples=50000
    common=(--backbone resnet18 --epochs 200 --batch-size 512)
    ;;
*)
    echo "the second argument is small or full, not $2" >&2
    exit 2
    ;;
esac

synthcl pretrain --data "$data" --out "$out/gan" "${gan[@]}" --json
synthcl generate --generator "$out/gan" --num-samples "$num_samples" --pairs --out "$out/shards" --json
synthcl train --data "$data" --out "$out/real" "${common[@]}" --json
synthcl train --data "$data" --out "$out/offline" "${common[@]}" --shards "$out/shards" --json
synthcl train --data "$data" --out "$out/online" "${common[@]}" --online --generator "$out/gan" --json
synthcl eval linear "$out/real" --data "$data" --untrained --json
for regime in real offline online; do
    synthcl eval linear "$out/$regime" --data "$data" --json
    synthcl eval knn "$out/$regime" --data "$data" --json
done
