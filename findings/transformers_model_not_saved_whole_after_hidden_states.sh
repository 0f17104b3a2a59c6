#!/usr/bin/env bash
# transformers 5.24.0 with torch 2.15.0: torch.save(model) works until the model was asked for its hidden states once.
# Expected: a forward pass with output_hidden_states=True leaves the model as it was. Seen: it installs forward hooks
# (local functions) that stay, and from then on the model as a whole cannot be pickled: "Can't pickle local object".
# Saving whole models is how pruned networks are often kept; state dicts and copy.deepcopy go on working.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet transformers==5.24.0 torch==2.15.0 numpy==2.4.6
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import copy
import io

import torch
from transformers import BertConfig, BertModel

config = BertConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=50)
model, tokens = BertModel(config).eval(), torch.arange(5)[None]


def hooks():
    return sum(len(module._forward_hooks) for module in model.modules())


model(tokens)
torch.save(model, io.BytesIO())
print("hooks after a plain run:", hooks())
assert hooks() == 0
model(tokens, output_hidden_states=True)
print("hooks after a run with hidden states:", hooks())
assert hooks() > 0
try:
    torch.save(model, io.BytesIO())
except AttributeError as error:
    message = str(error)
print(message)
assert "Can't pickle local object" in message
torch.save(model.state_dict(), io.BytesIO())
copy.deepcopy(model)(tokens)
PYTHON
