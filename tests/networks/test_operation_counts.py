"""Counts of fused operations from shapes alone; what runs on this machine is counted in test_measure.py."""

from __future__ import annotations

import torch
from torch import nn

from physprune_pl.networks.operation_counts import UNCOUNTED, aten


def test_recurrent_layers_of_a_gpu_count_each_matrix_once_a_step():
    layers = nn.LSTM(4, 6, 2, bidirectional=True, proj_size=3)
    shapes = [weight.shape for weight in layers.parameters()]
    counted = UNCOUNTED[aten._cudnn_rnn](torch.Size([5, 7, 4]), shapes, 5, None, out_shape=())
    matrices = 2 * (24 * (4 + 3) + 3 * 6) + 2 * (24 * (6 + 3) + 3 * 6)
    assert counted == 2 * 5 * 7 * matrices


def test_packed_sequences_count_their_steps_alone():
    counted = UNCOUNTED[aten.mkldnn_rnn_layer](torch.Size([9, 4]), torch.Size([24, 4]), torch.Size([24, 6]))
    assert counted == 2 * 9 * 24 * (4 + 6)
