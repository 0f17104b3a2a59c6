#!/usr/bin/env bash
# Torch-Pruning 1.6.1 with torch 2.15.0: pruning_ratio=0.5 of a convolution before a GroupNorm removes two thirds.
# Expected: 6 of 12 channels stay (or 8, a multiple of the four groups). Seen: 4, one for each group of the norm, so
# that it normalises single channels; without the norm 6 stay. Nothing says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch-pruning==1.6.1 torch==2.15.0 torchvision==0.29.2 numpy==2.4.6
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import torch
import torch_pruning as tp
from torch import nn


def kept(norm):
    net = nn.Sequential(nn.Conv2d(3, 12, 3), norm, nn.ReLU(), nn.Conv2d(12, 5, 3))
    importance = tp.importance.MagnitudeImportance()
    pruner = tp.pruner.MagnitudePruner(
        net, torch.randn(2, 3, 8, 8), importance, pruning_ratio=0.5, ignored_layers=[net[3]]
    )
    pruner.step()
    return net[0].out_channels


seen = {"BatchNorm2d": kept(nn.BatchNorm2d(12)), "GroupNorm(4)": kept(nn.GroupNorm(4, 12))}
print(seen)
assert seen == {"BatchNorm2d": 6, "GroupNorm(4)": 4}
PYTHON
