#!/usr/bin/env bash
# The label-fraction and transfer protocols: an encoder trained on CIFAR-10 (32 pixels) and one trained on Tiny ImageNet
# (64 pixels), each probed on both, with 1%, 10% and all of the labels, and beside untrained weights.
#
#   SYNTHCL_DATA=folder/of/data benchmarks/transfer.sh OUT [small|full]
#
# SYNTHCL_DATA holds cifar10/ as Parquet and tiny-imagenet-20/ as tars. An encoder sees images at the size that it was
# trained at; others are resized to that. `small` is for one CPU core, `full` wants a GPU. Run again, it continues.
# Each line of output is one result; benchmarks/probes.md records them.
set -euo pipefail
out=${1:?usage: benchmarks/transfer.sh OUT [small|full]}
root=${SYNTHCL_DATA:?SYNTHCL_DATA must point at the folder that holds cifar10/ and tiny-imagenet-20/}
cifar=$root/cifar10
tiny=$root/tiny-imagenet-20
case ${2:-small} in
small)
    on_cifar=(--backbone resnet10-w16 --steps 500 --batch-size 64)
    on_tiny=(--backbone resnet10-w16 --steps 250 --batch-size 64)
    ;;
full)
    on_cifar=(--backbone resnet18 --epochs 200 --batch-size 512)
    on_tiny=(--backbone resnet18 --epochs 400 --batch-size 512)
    ;;
*)
    echo "the second argument is small or full, not $2" >&2
    exit 2
    ;;
esac

synthcl train --data "$cifar" --out "$out/cifar10" "${on_cifar[@]}" --json
synthcl train --data "$tiny" --out "$out/tiny-imagenet" "${on_tiny[@]}" --json
for run in cifar10 tiny-imagenet; do
    synthcl eval transfer "$out/$run" --data "$cifar" --data "$tiny" --untrained --json
    for fraction in 0.01 0.1 1; do
        synthcl eval transfer "$out/$run" --data "$cifar" --data "$tiny" --label-fraction "$fraction" --json
    done
done
