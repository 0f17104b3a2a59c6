#!/usr/bin/env bash
# transformers 5.24.0: a subclass of GPTNeoXForCausalLM loads a saved model without the weights of the head.
# Expected: from_pretrained of a subclass that adds nothing loads what its parent has saved. Seen: save_pretrained writes
# the head under its old name, embed_out, which the parent takes for lm_head; for the subclass lm_head.weight is missing
# and drawn anew, and the outputs differ. A table on stderr says so, and nothing is raised.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet transformers==5.24.0 torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM


class Own(GPTNeoXForCausalLM):
    """Adds nothing."""


sizes = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
tokens = torch.tensor([[1, 2, 3]])
model = GPTNeoXForCausalLM(GPTNeoXConfig(**sizes)).eval()
model.save_pretrained("saved")
found = {}
for kind in (GPTNeoXForCausalLM, Own):
    loaded, told = kind.from_pretrained("saved", output_loading_info=True)
    change = float((loaded.eval()(tokens).logits - model(tokens).logits).abs().max())
    found[kind.__name__] = (sorted(told["missing_keys"]), sorted(told["unexpected_keys"]), change > 0)
    print(kind.__name__, found[kind.__name__])
assert found["GPTNeoXForCausalLM"] == ([], [], False)
assert found["Own"] == (["lm_head.weight"], ["embed_out.weight"], True)
PYTHON
