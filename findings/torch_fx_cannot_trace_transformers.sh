#!/usr/bin/env bash
# torch 2.15.0 and transformers 5.24.0: torch.fx.symbolic_trace fails on encoders and decoders of transformers before it
# has run a line of them, because their forward is decorated and takes **kwargs.
# Expected: a trace, or an error of torch.fx that says what of the forward it cannot follow. A decorated forward without
# **kwargs is traced, and so is one with **kwargs that is not decorated.
# Seen, for both together: "code: co_varnames is too small", a ValueError of Python's, wherever the decorator has fewer
# local variables than the forward has arguments; where it has as many, **kwargs is a Proxy that cannot be written to.
# Pruning programs that take their graph from torch.fx stop there; torch-kirigami 0.2.1 passes on the same words.
# (The ValueError is reported at https://github.com/pytorch/pytorch/issues/149497, open.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 numpy==2.4.6
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import functools

from torch import fx, nn
from transformers import BertConfig, BertForSequenceClassification, BertModel, LlamaConfig, LlamaModel


def decorated(forward):
    @functools.wraps(forward)
    def call(self, *args, **kwargs):
        return forward(self, *args, **kwargs)

    return call


class Decorated(nn.Module):
    @decorated
    def forward(self, x, scale=1.0, shift=0.0):
        return scale * x + shift


class Keywords(nn.Module):
    def forward(self, x, scale=1.0, shift=0.0, **kwargs):
        return scale * x + shift


class Both(nn.Module):
    @decorated
    def forward(self, x, scale=1.0, shift=0.0, **kwargs):
        return scale * x + shift


def outcome(model):
    try:
        return type(fx.symbolic_trace(model)).__name__
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


small = {"vocab_size": 16, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
bert, llama = BertConfig(**small), LlamaConfig(**small)
models = [Decorated(), Keywords(), Both(), BertForSequenceClassification(bert), LlamaModel(llama), BertModel(bert)]
seen = {type(model).__name__: outcome(model) for model in models}
print(seen)
too_small = "ValueError: code: co_varnames is too small"
assert seen == {
    "Decorated": "Decorated",
    "Keywords": "Keywords",
    "Both": too_small,
    "BertForSequenceClassification": too_small,
    "LlamaModel": too_small,
    "BertModel": "TypeError: 'Proxy' object does not support item assignment",
}
PYTHON
