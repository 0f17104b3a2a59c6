#!/usr/bin/env bash
# Counters of MACs on the same small layers, one sample each: fvcore 0.1.5, ptflops 0.7.5, torchinfo 1.8.0,
# ultralytics-thop 2.2.3 and Torch-Pruning 1.6.1 with torch 2.15.0.
# Expected: differences of a few per cent (biases). Seen:
# - nn.LSTM(16, 32) over 10 steps, 61440 by hand: Torch-Pruning 1075200 (17.5 times), fvcore 0;
# - a transposed convolution of stride 2, 41472 by hand: torchinfo and Torch-Pruning 194688 (4.7 times: they count the
#   kernel once for each output, not for each input);
# - nn.Linear on 10 tokens, 30720 by hand: torchinfo 3072, it counts one token;
# - nn.MultiheadAttention, 47360 by hand: torchinfo 0, fvcore 40960 (it leaves the products of attention out);
# - F.linear with a parameter of one's own, 63 by hand: ptflops and Torch-Pruning 0.
# A figure of MACs says little without the counter that it comes from.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 fvcore==0.1.5.post20221221 \
  ptflops==0.7.5 torchinfo==1.8.0 ultralytics-thop==2.2.3 torch-pruning==1.6.1
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import contextlib
import io

import torch
import torch_pruning
from fvcore.nn import FlopCountAnalysis
from ptflops import get_model_complexity_info
from thop import profile
from torch import nn
from torchinfo import summary


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class OwnWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(9, 7))

    def forward(self, x):
        return nn.functional.linear(x, self.weight)


def fvcore(net, x):
    return FlopCountAnalysis(net, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def ptflops(net, x):
    return get_model_complexity_info(net, tuple(x.shape[1:]), False, False, verbose=False, backend="pytorch")[0]


def torchinfo(net, x):
    return summary(net, input_data=x, verbose=0).total_mult_adds


def thop(net, x):
    return profile(net, (x,), verbose=False)[0]


def pruning(net, x):
    return torch_pruning.utils.count_ops_and_params(net, x)[0]


COUNTERS = (fvcore, ptflops, torchinfo, thop, pruning)
LAYERS = {
    "LSTM": (lambda: nn.LSTM(16, 32, batch_first=True), (10, 16), 10 * (16 + 32) * 4 * 32),
    "transposed": (lambda: nn.ConvTranspose2d(8, 16, 3, stride=2, bias=False), (8, 6, 6), 36 * 8 * 16 * 9),
    "Linear": (lambda: nn.Linear(32, 96, bias=False), (10, 32), 10 * 32 * 96),
    "attention": (lambda: Attention().eval(), (10, 32), 10 * 4 * 32 * 32 + 2 * 10 * 10 * 32),
    "own weight": (OwnWeight, (7,), 63),
}
seen = {}
print(f"{'':12}{'by hand':>10}", *(f"{counter.__name__:>10}" for counter in COUNTERS))
for name, (make, shape, by_hand) in LAYERS.items():
    row = []
    for counter in COUNTERS:
        with contextlib.redirect_stdout(io.StringIO()):
            row.append(int(counter(make(), torch.randn(1, *shape))))
    seen[name] = row
    print(f"{name:12}{by_hand:>10}", *(f"{figure:>10}" for figure in row))
assert seen == {
    "LSTM": [0, 67200, 64000, 66560, 1075200],
    "transposed": [41472, 41472, 194688, 41472, 194688],
    "Linear": [30720, 30720, 3072, 30720, 30720],
    "attention": [40960, 49360, 0, 48520, 49360],
    "own weight": [63, 0, 63, 63, 0],
}
PYTHON
