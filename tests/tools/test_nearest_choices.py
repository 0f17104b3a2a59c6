"""The answer to a name that there is not."""

from physprune_pl.tools.choices import near, unknown

LAYERS = [f"encoder.blocks.{number}.mlp.fc1" for number in range(40)]


def test_misspelt_names_are_near_and_strangers_are_not() -> None:
    assert near("ACC", ["val/loss", "acc"]) == ["acc"]
    assert near("val_loss", ["train/loss", "val/loss"])[0] == "val/loss"
    assert near("", ["a", "b"]) == near("temperature", ["a", "b"]) == []


def test_the_end_of_a_dotted_name_is_near() -> None:
    assert near("7.mlp.fc1", LAYERS)[0] == "encoder.blocks.7.mlp.fc1"


def test_the_nearest_come_first_and_the_others_keep_their_order() -> None:
    message = unknown("law", "dd", ["c", "d", "a", "b"])
    assert message == "law: expected one of ['d', 'c', 'a', 'b'], got 'dd'; did you mean 'd'?"
    assert unknown("law", None, ["c", "a"]) == "law: expected one of ['c', 'a'], got None"


def test_of_many_names_a_dozen_are_listed() -> None:
    message = unknown("module", "39.mlp.fc", LAYERS, "a submodule, such as")
    assert message.startswith("module: expected a submodule, such as ['encoder.blocks.39.mlp.fc1', ")
    assert " and 28 more, got '39.mlp.fc'; did you mean 'encoder.blocks.39.mlp.fc1'?" in message
    assert message.count("encoder") == 13
