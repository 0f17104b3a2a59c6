"""The configuration: every file composes and means what it says, bad values are refused before any training."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from configured import GROUPS, ROOT, UNPRUNED, choices
from configured import config_of as composed
from hydra.errors import ConfigCompositionException, MissingConfigException
from hydra.utils import get_object
from omegaconf import OmegaConf

from experiments.training import assembly
from experiments.training.assembly import build_force, build_loggers, build_pruning
from physprune_pl import Channels
from physprune_pl.callbacks import RandomStates
from physprune_pl.forces import FORCES, ForceLaw
from physprune_pl.selections import ByLaw, ByStrength, ByTaylor, Selection


def nodes(config: Any) -> Iterator[Any]:
    """Every mapping of a configuration, from the outside in."""
    if isinstance(config, dict):
        yield config
        for value in config.values():
            yield from nodes(value)


@pytest.mark.parametrize(("group", "choice"), [(group, choice) for group in GROUPS for choice in choices(group)])
def test_every_file_composes_and_every_target_exists(group: str, choice: str) -> None:
    config = composed(f"{group}={choice}", "paths.output=out")
    for node in nodes(OmegaConf.to_container(config, resolve=True)):
        if "_target_" in node:
            assert callable(get_object(node["_target_"]))


def test_the_layout_is_complete() -> None:
    expected = "model data force strength distance schedule target finetune trainer logger callbacks experiment "
    assert {*expected.split(), "hparams_search", "paths", "hydra"} <= set(GROUPS)
    assert len((ROOT / "train.py").read_text().splitlines()) <= 100


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_the_command_line_can_switch_everything_off(experiment: str) -> None:
    config = composed(f"experiment={experiment}", *UNPRUNED)
    callbacks, cutter = build_pruning(config)
    assert [type(one) for one in callbacks] == [RandomStates]
    assert cutter is None


@pytest.mark.parametrize("name", sorted(FORCES))
def test_a_file_of_a_force_is_the_law_of_that_name(name: str) -> None:
    assert build_force(composed(f"force={name}").force) == FORCES[name]()


def test_an_unknown_force_lists_the_choices() -> None:
    with pytest.raises(MissingConfigException, match=r"(?s)electrostatic.*gravity_literal.*uniform"):
        composed("force=magnetism")
    with pytest.raises(ConfigCompositionException, match="rat"):
        composed("force.rat=3")


def spring(channels: Channels, stiffness: float = 1.0) -> torch.Tensor:
    return stiffness * channels.distance


class Spring(ForceLaw):
    def __call__(self, channels: Channels) -> torch.Tensor:
        return channels.distance


def test_a_law_of_ones_own_takes_the_place_of_any_other() -> None:
    own = build_force(composed("force=exponential", f"force._target_={__name__}.Spring").force)
    assert own == Spring(normalize=True)
    function = build_force(composed(f"force._target_={__name__}.spring", "+force.stiffness=2").force)
    ones = torch.ones(2)
    assert function(Channels(strength=ones, distance=ones, pivot=0, sign=ones)).tolist() == [2, 2]
    with pytest.raises(TypeError, match="stifness"):
        build_force(composed("force._target_=" + __name__ + ".Spring", "+force.stifness=2").force)


def test_etp_official_is_the_code_of_the_paper() -> None:
    law = build_force(composed("experiment=etp_official").force)
    distance = torch.arange(8.0)
    found = law(Channels(strength=torch.ones(8), distance=distance, pivot=0, sign=torch.ones(8)))
    assert torch.allclose(found, 1.01 ** (500 / 8 * distance) / 8, rtol=1e-3)
    config = composed("experiment=etp_official")
    assert not law.normalize
    assert config.coefficient == 1e-5
    assert config.strength == {"_target_": "physprune_pl.strengths.L1", "scope": "filter"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("target.params=0.5",), "target=params leaves params alone"),
        (("target.macs=1.5",), "target"),
        (("target=none",), "force=none"),
        (("coefficient=-1",), "coefficient"),
        (("select=luck",), "select: expected one of"),
        (("finetune.epochs=-1",), "finetune_epochs"),
    ],
)
def test_bad_values_are_refused_before_training(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_pruning(composed(*overrides))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("select=strength", ByStrength()),
        ("select=law", ByLaw()),
        ("select=taylor", ByTaylor()),
        (
            "select={_target_:physprune_pl.selections.ByTaylor,horizon:30,scale:none}",
            ByTaylor(horizon=30, scale="none"),
        ),
        ("select={_target_:physprune_pl.selections.ByStrength,scale:l2}", ByStrength(scale="l2")),
    ],
)
def test_channels_are_selected_by_name_or_by_a_node(override: str, expected: Selection) -> None:
    _, cutter = build_pruning(composed(override))
    assert cutter is not None
    assert cutter.session.select == expected


def test_a_recipe_is_added_with_and_without_the_plus_and_later_choices_win() -> None:
    assert composed("experiment=demo") == composed("+experiment=demo")
    for recipe in ("experiment=demo", "+experiment=demo"):
        config = composed(recipe, "force=uniform", "trainer.max_epochs=3")
        assert config.force._target_.endswith("Uniform")
        assert (config.trainer.max_epochs, config.finetune.epochs) == (3, 15)
        assert composed("force=uniform", recipe) == composed(recipe, "force=uniform")


@pytest.mark.parametrize(
    ("recipe", "model", "data", "force"),
    [
        ("etp_official", "vgg19_bn", "CIFAR100", "ExponentialTorque"),
        ("gravity_literal", "resnet56", "CIFAR10", "Gravity"),
        ("electrostatic_mnist", "lenet5", "MNIST", "Electrostatic"),
        ("torque_vgg", "vgg16_bn", "CIFAR10", "LinearTorque"),
        ("demo", "resnet56", "Digits", "ExponentialTorque"),
    ],
)
def test_a_recipe_is_that_of_its_paper(recipe: str, model: str, data: str, force: str) -> None:
    config = composed(f"+experiment={recipe}")
    found = [node._target_.rpartition(".")[2] for node in (config.model, config.data, config.force)]
    assert found == [model, data, force]


@pytest.mark.parametrize(("choice", "package"), [("wandb", "wandb"), ("mlflow", "mlflow"), ("tensorboard",) * 2])
def test_a_logger_whose_package_is_missing_names_the_way_to_get_it(
    choice: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=f"logger={choice} .*pip install {package}"):
        build_loggers(composed(f"logger={choice}", "paths.output=out").logger)
    assert len(build_loggers(composed("logger=csv", "paths.output=out").logger)) == 1
