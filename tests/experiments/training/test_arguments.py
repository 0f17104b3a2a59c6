"""The check of the command line: wrong keys are answered, everything that Hydra knows passes."""

import pytest

from experiments.training.arguments import checked, wrong_key


@pytest.mark.parametrize(
    ("argument", "guess", "listed"),
    [
        ("trgt.macs=0.3", "target", "strength"),
        ("froce=uniform", "force", "model"),
        ("experimnt=demo", "experiment", "data"),
        ("force.rat=3", "force.rate", "normalize"),
        ("macs=0.3", "target.macs", "seed"),
        ("trainer.max_epoch=3", "trainer.max_epochs", "devices"),
        ("callbacks.best.monitr=loss", "callbacks.best.monitor", "dirpath"),
    ],
)
def test_a_wrong_key_is_answered_with_the_closest_and_all_of_its_level(argument: str, guess: str, listed: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        checked([argument])
    message = str(stopped.value)
    assert f"Did you mean {guess}?" in message
    assert listed in message
    assert f"+{argument.partition('=')[0]}=" in message


def test_a_value_has_no_keys() -> None:
    assert "coefficient has no keys" in str(wrong_key(["coefficient.start=3"]))
    assert "force has no keys" in str(wrong_key(["force=none", "force.rate=3"]))


def test_keys_are_those_of_the_choices() -> None:
    assert wrong_key(["force=uniform", "force.rate=3"])
    assert wrong_key(["force=exponential,uniform", "force.rate=3"]) is None
    assert wrong_key(["experiment=etp_official", "strength.scope=group"]) is None
    assert wrong_key(["+force.stiffness=2", "force.stiffness=3"]) is None


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["--cfg", "job", "--package", "force"],
        ["-m", "force=uniform,torque", "seed=0,1,2", "target.macs=range(0.1,0.5,0.1)", "coefficient=1e-3,auto"],
        ["--multirun", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,1"],
        ["hparams_search=laws", "hydra.sweeper.params.seed=0"],
        ["+trainer.limit_train_batches=2", "++seed=3", "~callbacks.last", "+data.extra={a: 1}"],
        ["ckpt_path='runs/a=b/last.ckpt'", "ignore=[stem.*,head]", 'baseline="x y"', "force._target_=my.Law"],
        ["baseline=runs/${seed}/best.ckpt", "paths.data=/data", "model.weights=a.ckpt", "hydra.run.dir=runs/x"],
        ["--config-name=other", "anything=1"],
        ["logger@more=csv"],
        ["force=magnetism", "force.rat=3"],
    ],
)
def test_what_hydra_knows_or_answers_itself_passes(arguments: list[str]) -> None:
    assert checked(arguments) == arguments


def test_a_recipe_gets_its_plus() -> None:
    assert checked(["experiment=demo", "seed=1"]) == ["+experiment=demo", "seed=1"]
    assert checked(["+experiment=demo"]) == ["+experiment=demo"]
