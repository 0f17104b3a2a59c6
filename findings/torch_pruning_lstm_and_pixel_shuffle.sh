#!/usr/bin/env bash
# Torch-Pruning 1.6.1 with torch 2.15.0: two common networks of three layers raise IndexError.
# Expected: what is not supported is left whole, or named. Seen: Linear -> nn.LSTM -> Linear ends in "index out of range",
# Conv2d -> PixelShuffle(2) -> Conv2d in "index 4 is out of bounds"; neither names the layer. Without the LSTM and the
# shuffle the same calls prune.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch-pruning==1.6.1 torch==2.15.0 torchvision==0.29.2 numpy==2.4.6
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import torch
import torch_pruning as tp
from torch import nn


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.memory, self.last = nn.Linear(4, 8), nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(self.memory(self.first(x))[0][:, -1])


def prune(net, last, x):
    importance = tp.importance.MagnitudeImportance()
    pruner = tp.pruner.MagnitudePruner(net, x, importance, pruning_ratio=0.5, ignored_layers=[last])
    pruner.step()


def error_of(net, last, x):
    net(x)
    try:
        prune(net, last, x)
    except IndexError as error:
        return str(error)


recurrent = Recurrent()
shuffled = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(4, 5, 3))
plain = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
prune(plain, plain[2], torch.randn(2, 4))
seen = [
    error_of(recurrent, recurrent.last, torch.randn(2, 5, 4)),
    error_of(shuffled, shuffled[2], torch.randn(2, 3, 8, 8)),
]
print(plain[0], *seen, sep="\n")
assert plain[0].out_features == 4
assert "index out of range" in seen[0]
assert "index 4 is out of bounds" in seen[1]
PYTHON
