#!/usr/bin/env bash
# torch 2.15.0: a parameter whose data are exchanged for fewer rows cannot be trained while any old loss is alive.
# Expected: the next forward pass builds a graph of its own, with the new shape. Seen: "got [2] but expected shape
# compatible with [4]". The node that accumulates a parameter's gradient remembers the shape, and lives for as long as
# any graph that reaches it, here through `held`, which is never used again. Without `held` the same lines run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import torch

weight = torch.nn.Parameter(torch.ones(4))
held = (weight * 2).sum()
weight.data = weight.data[:2].clone()
try:
    (weight * 3).sum().backward()
except RuntimeError as error:
    message = str(error)
print(message)
assert "got [2] but expected shape compatible with [4]" in message
del held
(weight * 3).sum().backward()
print("without the old loss:", weight.grad)
assert weight.grad.tolist() == [3.0, 3.0]
PYTHON
