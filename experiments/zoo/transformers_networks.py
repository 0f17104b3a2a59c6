"""Networks of the transformers library: the architectures as they are published, narrower and less deep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from experiments.zoo.network import BATCH, CLASSES, Network

LAYERS, WIDTH, WORDS, TOKENS, PIXELS = 4, 256, 1000, 32, 64


def _library() -> Any:
    return import_module("transformers")


def _bert(attention: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        transformers = _library()
        config = transformers.BertConfig(
            vocab_size=WORDS,
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            intermediate_size=4 * WIDTH,
            num_labels=CLASSES,
            attn_implementation=attention,
        )
        network: nn.Module = transformers.BertForSequenceClassification(config)
        return network

    return build


def _vit() -> nn.Module:
    transformers = _library()
    config = transformers.ViTConfig(
        image_size=PIXELS,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        num_labels=CLASSES,
    )
    network: nn.Module = transformers.ViTForImageClassification(config)
    return network


def _llama(attention: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        transformers = _library()
        config = transformers.LlamaConfig(
            vocab_size=WORDS,
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=8,
            num_key_value_heads=4,
            intermediate_size=688,
            max_position_embeddings=2 * TOKENS,
            tie_word_embeddings=True,
            attn_implementation=attention,
        )
        network: nn.Module = transformers.LlamaForCausalLM(config)
        return network

    return build


def _sentences() -> dict[str, Tensor]:
    attended = torch.ones(BATCH, TOKENS, dtype=torch.long)
    attended[1, TOKENS // 2 :] = 0
    return {"input_ids": torch.randint(0, WORDS, (BATCH, TOKENS)), "attention_mask": attended}


def _pictures() -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(BATCH, 3, PIXELS, PIXELS)}


def _network(inputs: str, build: Callable[[], nn.Module], example: Callable[[], Any], note: str = "") -> Network:
    return Network("transformers", inputs, build, example, f"{LAYERS} layers of width {WIDTH}{note}")


_READ = f"{TOKENS} tokens, mask"
TRANSFORMERS: Mapping[str, Network] = {
    "transformers:bert": _network(_READ, _bert("sdpa"), _sentences),
    "transformers:bert-eager": _network(_READ, _bert("eager"), _sentences, ", attention step by step"),
    "transformers:vit": _network(f"{PIXELS} x {PIXELS} pixels", _vit, _pictures),
    "transformers:llama": _network(_READ, _llama("sdpa"), _sentences, ", two query heads to a key head, tied"),
    "transformers:llama-eager": _network(_READ, _llama("eager"), _sentences, ", the same, step by step"),
}
