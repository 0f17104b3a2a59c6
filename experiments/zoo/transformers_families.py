"""Families of the transformers library: two layers each, narrow, as their configurations build them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from experiments.zoo.network import BATCH, CLASSES, Network

WIDTH, HEADS, HIDDEN, WORDS, TOKENS, PIXELS, SAMPLES = 64, 4, 96, 200, 12, 32, 800

Numbers = dict[str, Any]

_SIZES: Numbers = {"hidden_size": WIDTH, "num_hidden_layers": 2, "intermediate_size": HIDDEN}
_HEADS: Numbers = {**_SIZES, "num_attention_heads": HEADS}
_TEXT: Numbers = {"vocab_size": WORDS, "max_position_embeddings": 40, "pad_token_id": 1}
_CAUSAL: Numbers = {**_TEXT, **_HEADS, "bos_token_id": 2, "eos_token_id": 3, "num_key_value_heads": 2}
_PICTURES: Numbers = {"image_size": PIXELS, "num_labels": CLASSES}
_PATCHES: Numbers = {**_PICTURES, **_HEADS, "patch_size": 8}
_CLASSES: Numbers = {"num_labels": CLASSES}


def _words() -> dict[str, Tensor]:
    attended = torch.ones(BATCH, TOKENS, dtype=torch.long)
    attended[1, TOKENS // 2 :] = 0
    return {"input_ids": torch.randint(4, WORDS, (BATCH, TOKENS)), "attention_mask": attended}


def _seq2seq() -> dict[str, Tensor]:
    return {**_words(), "decoder_input_ids": torch.randint(4, WORDS, (BATCH, TOKENS // 2))}


def _pictures() -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(BATCH, 3, PIXELS, PIXELS)}


def _sound() -> dict[str, Tensor]:
    return {"input_values": torch.randn(BATCH, SAMPLES)}


def _bands() -> dict[str, Tensor]:
    tokens = torch.randint(4, WORDS, (BATCH, TOKENS))
    return {"input_features": torch.randn(BATCH, 16, 2 * TOKENS), "decoder_input_ids": tokens}


def _pairs() -> dict[str, Tensor]:
    return {**_words(), **_pictures()}


def _built(network: str, config: str, numbers: Numbers) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        transformers: Any = import_module("transformers")
        made: nn.Module = getattr(transformers, network)(getattr(transformers, config)(**numbers))
        return made

    return build


def _family(network: str, config: str, example: Callable[[], Any], size: str, numbers: Numbers) -> Network:
    return Network("transformers", size, _built(network, config, numbers), example, "two layers, narrow")


def _text(network: str, config: str, numbers: Numbers) -> Network:
    return _family(network, config, _words, f"{TOKENS} tokens, mask", numbers)


def _picture(network: str, config: str, numbers: Numbers) -> Network:
    return _family(network, config, _pictures, f"{PIXELS} x {PIXELS} pixels", numbers)


_STAGES: Numbers = {**_PICTURES, "depths": [1, 1], "num_stages": 2}
_TWO: Numbers = {"d_model": WIDTH, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": HEADS}
_BART: Numbers = {**_TEXT, **_TWO, "decoder_attention_heads": HEADS, "encoder_ffn_dim": HIDDEN, "decoder_ffn_dim": 80}
_T5: Numbers = {"vocab_size": WORDS, "d_model": WIDTH, "d_kv": 16, "d_ff": HIDDEN, "num_layers": 2, "num_heads": HEADS}
_SPEECH: Numbers = {
    **{"conv_dim": (32, 32, 32), "conv_stride": (5, 2, 2), "conv_kernel": (10, 3, 3), "num_feat_extract_layers": 3},
    **{"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4, "classifier_proj_size": 24, **_CLASSES},
}
_WHISPER: Numbers = {
    **{"vocab_size": WORDS, "num_mel_bins": 16, "max_source_positions": TOKENS, "max_target_positions": TOKENS},
    **{**_TWO, "decoder_attention_heads": HEADS, "encoder_ffn_dim": HIDDEN, "decoder_ffn_dim": HIDDEN},
    **{"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 2},
}
_CLIP: Numbers = {
    "text_config": {**_TEXT, **_HEADS, "eos_token_id": 3, "bos_token_id": 2},
    "vision_config": {**_HEADS, "image_size": PIXELS, "patch_size": 8},
    "projection_dim": 24,
}
_SEGFORMER: Numbers = {
    **{"depths": [1, 1], "num_encoder_blocks": 2, "hidden_sizes": [32, 64], "num_attention_heads": [2, 4]},
    **{"sr_ratios": [2, 1], "mlp_ratios": [2, 2], "patch_sizes": [7, 3], "strides": [4, 2], "num_labels": CLASSES},
    "decoder_hidden_size": 48,
}
_GEMMA: Numbers = {**_CAUSAL, "head_dim": 16}

FAMILIES: Mapping[str, Network] = {
    "bert": _text("BertForSequenceClassification", "BertConfig", {**_TEXT, **_HEADS, **_CLASSES}),
    "roberta": _text("RobertaForSequenceClassification", "RobertaConfig", {**_TEXT, **_HEADS, **_CLASSES}),
    "electra": _text("ElectraForSequenceClassification", "ElectraConfig", {**_TEXT, **_HEADS, **_CLASSES}),
    "deberta_v2": _text("DebertaV2ForSequenceClassification", "DebertaV2Config", {**_TEXT, **_HEADS, **_CLASSES}),
    "albert": _text("AlbertForSequenceClassification", "AlbertConfig", {**_TEXT, **_HEADS, **_CLASSES}),
    "distilbert": _text(
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        {**_TEXT, **_CLASSES, "dim": WIDTH, "n_layers": 2, "n_heads": HEADS, "hidden_dim": HIDDEN},
    ),
    "modernbert": _text("ModernBertForSequenceClassification", "ModernBertConfig", {**_TEXT, **_HEADS, **_CLASSES}),
    "gpt2": _text(
        "GPT2LMHeadModel",
        "GPT2Config",
        {"vocab_size": WORDS, "n_positions": 40, "n_embd": WIDTH, "n_layer": 2, "n_head": HEADS},
    ),
    "gpt_neox": _text("GPTNeoXForCausalLM", "GPTNeoXConfig", {**_TEXT, **_HEADS}),
    "opt": _text(
        "OPTForCausalLM",
        "OPTConfig",
        {
            **{**_TEXT, "hidden_size": WIDTH, "word_embed_proj_dim": WIDTH, "num_hidden_layers": 2},
            **{"ffn_dim": HIDDEN, "num_attention_heads": HEADS},
        },
    ),
    "llama": _text("LlamaForCausalLM", "LlamaConfig", _CAUSAL),
    "mistral": _text("MistralForCausalLM", "MistralConfig", _CAUSAL),
    "qwen2": _text("Qwen2ForCausalLM", "Qwen2Config", _CAUSAL),
    "qwen3": _text("Qwen3ForCausalLM", "Qwen3Config", {**_CAUSAL, "head_dim": 16}),
    "phi3": _text("Phi3ForCausalLM", "Phi3Config", _CAUSAL),
    "gemma": _text("GemmaForCausalLM", "GemmaConfig", _GEMMA),
    "gemma2": _text("Gemma2ForCausalLM", "Gemma2Config", _GEMMA),
    "gemma3": _text("Gemma3ForCausalLM", "Gemma3TextConfig", _GEMMA),
    "olmo2": _text("Olmo2ForCausalLM", "Olmo2Config", _CAUSAL),
    "starcoder2": _text("Starcoder2ForCausalLM", "Starcoder2Config", _CAUSAL),
    "t5": _family(
        "T5ForConditionalGeneration", "T5Config", _seq2seq, f"{TOKENS} tokens and {TOKENS // 2}, mask", {**_T5}
    ),
    "bart": _family("BartForConditionalGeneration", "BartConfig", _seq2seq, f"{TOKENS} tokens, mask", _BART),
    "vit": _picture("ViTForImageClassification", "ViTConfig", _PATCHES),
    "deit": _picture("DeiTForImageClassification", "DeiTConfig", _PATCHES),
    "beit": _picture("BeitForImageClassification", "BeitConfig", _PATCHES),
    "dinov2": _picture("Dinov2ForImageClassification", "Dinov2Config", {**_PATCHES, "mlp_ratio": 2}),
    "swin": _picture(
        "SwinForImageClassification",
        "SwinConfig",
        {**_PICTURES, "patch_size": 4, "embed_dim": 32, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4},
    ),
    "segformer": _picture("SegformerForSemanticSegmentation", "SegformerConfig", _SEGFORMER),
    "convnext": _picture("ConvNextForImageClassification", "ConvNextConfig", {**_STAGES, "hidden_sizes": [32, 64]}),
    "convnextv2": _picture(
        "ConvNextV2ForImageClassification", "ConvNextV2Config", {**_STAGES, "hidden_sizes": [32, 64]}
    ),
    "resnet": _picture(
        "ResNetForImageClassification",
        "ResNetConfig",
        {"embedding_size": 16, "hidden_sizes": [32, 64], "depths": [1, 1], **_CLASSES},
    ),
    "mobilenet_v2": _picture("MobileNetV2ForImageClassification", "MobileNetV2Config", _PICTURES),
    "wav2vec2": _family(
        "Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", _sound, f"{SAMPLES} samples", {**_HEADS, **_SPEECH}
    ),
    "hubert": _family(
        "HubertForSequenceClassification", "HubertConfig", _sound, f"{SAMPLES} samples", {**_HEADS, **_SPEECH}
    ),
    "whisper": _family(
        "WhisperForConditionalGeneration", "WhisperConfig", _bands, f"16 bands, {2 * TOKENS} steps", _WHISPER
    ),
    "clip": _family("CLIPModel", "CLIPConfig", _pairs, f"{PIXELS} x {PIXELS} pixels and {TOKENS} tokens", _CLIP),
}
