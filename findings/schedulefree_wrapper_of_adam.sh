#!/usr/bin/env bash
# schedulefree 1.4.1 with torch 2.15.0: ScheduleFreeWrapper around torch.optim.Adam dies in the first step.
# Expected: it wraps any optimizer, as its documentation says; around SGD it does. Seen: KeyError: 'exp_avg'. The wrapper
# has put an entry of its own into the state of each parameter, so Adam takes the state for one that has begun.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet schedulefree==1.4.1 torch==2.15.0 numpy==2.4.6
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import schedulefree
import torch


def first_step(kind):
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = schedulefree.ScheduleFreeWrapper(kind([weight], lr=1e-2), momentum=0.9)
    optimizer.train()
    weight.grad = torch.ones(2)
    try:
        optimizer.step()
    except KeyError as error:
        return f"KeyError: {error}"
    return "ok"


seen = {kind.__name__: first_step(kind) for kind in (torch.optim.SGD, torch.optim.Adam)}
print(seen)
assert seen == {"SGD": "ok", "Adam": "KeyError: 'exp_avg'"}
PYTHON
