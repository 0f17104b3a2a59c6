#!/usr/bin/env bash
# torch 2.15.0: copy.deepcopy of a parameter, or of a module, drops attributes that were put on the parameter.
# Expected: what optimizers and libraries mark parameters with (no weight decay, which optimizer, where it is sharded)
# is copied, as it is for plain tensors and buffers, and by pickle. Seen: gone, without a word, so a copied model may be
# grouped differently by the same configure_optimizers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import copy
import pickle

import torch
from torch import nn

parameter, tensor, buffer = nn.Parameter(torch.ones(2)), torch.ones(2), nn.Buffer(torch.ones(2))
module = nn.Linear(2, 2)
for marked in (parameter, tensor, buffer, module.weight):
    marked.no_decay = True
seen = {
    "parameter": hasattr(copy.deepcopy(parameter), "no_decay"),
    "parameter of a module": hasattr(copy.deepcopy(module).weight, "no_decay"),
    "the same by pickle": hasattr(pickle.loads(pickle.dumps(module)).weight, "no_decay"),
    "tensor": hasattr(copy.deepcopy(tensor), "no_decay"),
    "buffer": hasattr(copy.deepcopy(buffer), "no_decay"),
}
print(seen)
assert seen == {
    "parameter": False,
    "parameter of a module": False,
    "the same by pickle": True,
    "tensor": True,
    "buffer": True,
}
PYTHON
