#!/usr/bin/env bash
# torch 2.15.0, CPU: torch.utils.flop_counter.FlopCounterMode counts some layers as nothing, without a word.
# Expected: every matrix product counts. Seen: nn.LSTM 0 (nn.GRU and nn.RNN are counted), a TransformerEncoderLayer
# and a MultiheadAttention in eval mode without gradients 0 (in training mode they are counted), nn.Bilinear 0,
# torch.mv 0. The first two run as one fused operation that has no formula; the last two never had one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count(call, *inputs):
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        call(*inputs)
    return counter.get_total_flops()


sequence, tokens = torch.randn(2, 10, 16), torch.randn(2, 10, 32)
encoder = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
attention = nn.MultiheadAttention(32, 4, batch_first=True)
seen = {
    "LSTM": count(nn.LSTM(16, 32, batch_first=True), sequence),
    "GRU": count(nn.GRU(16, 32, batch_first=True), sequence),
    "RNN": count(nn.RNN(16, 32, batch_first=True), sequence),
    "encoder, training": count(encoder.train(), tokens),
    "encoder, eval": count(encoder.eval(), tokens),
    "attention, eval": count(lambda x: attention.eval()(x, x, x, need_weights=False), tokens),
    "Bilinear": count(nn.Bilinear(4, 5, 6), torch.randn(3, 4), torch.randn(3, 5)),
    "mv": count(torch.mv, torch.randn(9, 7), torch.randn(7)),
}
for name, operations in seen.items():
    print(f"{name:20} {operations}")
assert seen == {
    "LSTM": 0,
    "GRU": 2 * 2 * 10 * (16 + 32) * 3 * 32,
    "RNN": 2 * 2 * 10 * (16 + 32) * 32,
    "encoder, training": 2 * 2 * (10 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * 10 * 10 * 32),
    "encoder, eval": 0,
    "attention, eval": 0,
    "Bilinear": 0,
    "mv": 0,
}
PYTHON
