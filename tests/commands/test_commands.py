"""The command line as a user calls it: what it prints, what it writes, and how it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tiny_factories
import torch

import physprune_pl.export
from physprune_pl.commands import COMMANDS, main, parser
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import PruningPlan

CHAIN = ("--model", "tiny_factories:chain", "--input", "2,4")
REFUSES = ("--model", "tiny_factories:Refuses", "--model-args", "in_features=4", "out_features=2", "--input", "2,4")


def printed(capsys, *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def refused(capsys, *words: str) -> str:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}


# --- inspect --------------------------------------------------------------------------------------------------------


def test_inspect_shows_groups_and_what_is_left_whole(capsys):
    text = printed(capsys, "inspect", *CHAIN)
    assert text.startswith("tiny_factories:chain: 403 parameters, 368 MACs of one sample; groups: 2")
    # with one channel of the first group left its 4 * 16 + 16 * 16 MACs are 4 + 16
    assert rows(text)["0"] == ["16", "yes", f"{(320 - 20) / 368:.1%}"]
    assert "4: the model returns its channels" in text
    assert "Plan" not in text


def test_inspect_shows_and_saves_the_plan_for_a_target(capsys, tmp_path):
    path = tmp_path / "plan.json"
    words = ("--model-args", "width=12", "--target", "macs=0.4", "--round-to", "2", "--save-plan", str(path))
    text = printed(capsys, "inspect", *CHAIN, *words)
    plan = PruningPlan.from_json(path.read_text())
    assert [int(rows(text)[cut.name][-1]) for cut in plan.groups] == [cut.after for cut in plan.groups]
    assert all(cut.after % 2 == 0 for cut in plan.groups)
    model = apply_plan(tiny_factories.chain(12), plan)
    assert (plan.macs[1], plan.params[1]) == (count_macs(model, torch.zeros(1, 4)), count_parameters(model))
    assert f"fewer ({100 * plan.macs[1] / plan.macs[0]:.0f} % kept)" in text


def test_inspect_obeys_the_limits(capsys):
    words = ("--target", "macs=0.48", "--min-share", "0=1", "--max-share", "2=0.5", "--ignore", "none")
    assert "ignore: expected names or regular expressions of modules such as ['0', '1'" in refused(
        capsys, "inspect", *CHAIN, *words
    )
    found = rows(printed(capsys, "inspect", *CHAIN, *words[:-2]))
    assert found["0"][-1] == "16"
    assert int(found["2"][-1]) <= 8
    assert "0: ignored by the user" in printed(capsys, "inspect", *CHAIN, "--ignore", "0")


def test_inspect_takes_named_inputs_of_any_dtype(capsys):
    text = printed(
        capsys, "inspect", "--model", "tiny_factories:Named", "--input", "ids=2,7:int64", "mask=2,7:int64", "--debug"
    )
    assert rows(text)["inner"][:2] == ["8", "yes"]


def test_tables_are_drawn_at_a_terminal_only(capsys, monkeypatch):
    pytest.importorskip("rich")
    assert "━" not in printed(capsys, "inspect", *CHAIN)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "━" in printed(capsys, "inspect", *CHAIN)


# --- export ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def plan_file(capsys, tmp_path):
    path = tmp_path / "plan.json"
    printed(capsys, "inspect", *CHAIN, "--target", "params=0.5", "--save-plan", str(path))
    return path


def test_export_writes_a_program_cut_by_a_saved_plan(capsys, plan_file, tmp_path):
    out = tmp_path / "model.pt2"
    text = printed(capsys, "export", *CHAIN, "--plan", str(plan_file), "--out", str(out))
    plan = PruningPlan.from_json(plan_file.read_text())
    assert text.startswith(f"{out}: {plan.params[1]} parameters")
    torch.manual_seed(0)
    model, inputs = apply_plan(tiny_factories.chain(), plan), torch.randn(5, 4)
    torch.testing.assert_close(torch.export.load(out).module()(inputs), model(inputs))


def test_export_writes_a_program_for_sizes_of_its_own(capsys, tmp_path):
    words = ("--model", "torch.nn:Conv1d", "--model-args", "in_channels=2", "out_channels=3", "kernel_size=3")
    out = tmp_path / "sizes.pt2"
    printed(capsys, "export", *words, "--input", "1,2,8", "--dynamic", "input=2", "--out", str(out))
    assert torch.export.load(out).module()(torch.zeros(4, 2, 30)).shape == (4, 3, 28)


@pytest.mark.skipif(any(physprune_pl.export.missing()), reason="onnx or onnxscript (extra export) is not installed")
def test_export_writes_onnx(capsys, tmp_path):
    out = tmp_path / "model.onnx"
    printed(capsys, "export", *CHAIN, "--target", "params=0.5", "--fixed-batch", "--out", str(out))
    onnx = pytest.importorskip("onnx")
    shape = onnx.load(out).graph.input[0].type.tensor_type.shape
    assert [size.dim_value for size in shape.dim] == [2, 4]


# --- latency --------------------------------------------------------------------------------------------------------


def test_latency_times_the_dense_and_the_cut_network(capsys):
    words = ("--batch-sizes", "1", "3", "--rounds", "1", "--threads", "1")
    text = printed(capsys, "latency", *CHAIN, *words)
    assert "threads: 1" in text
    assert [len(rows(text)["batch"]), "pruned" in text] == [2, False]
    text = printed(capsys, "latency", *CHAIN, *words, "--target", "macs=0.5")
    *_, dense, pruned, faster = rows(text)["batch"]
    assert float(dense) > 0
    assert float(pruned) > 0
    assert faster.endswith("x")


# --- refusals, help -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("inspect", "--model", "tiny_factories", "--input", "2,4"), "--model: expected MODULE:FACTORY"),
        (("inspect", "--model", "no_such_module:x", "--input", "2,4"), "'no_such_module' cannot be imported"),
        (("inspect", "--model", "tiny_factories:none", "--input", "2,4"), "'tiny_factories' has no 'none'"),
        (("inspect", "--model", "tiny_factories:INSTANCE", "--input", "2,4"), "to be a function or a class"),
        (("inspect", "--model", "tiny_factories:nothing", "--input", "2,4"), "to make a torch.nn.Module, got str"),
        (
            ("inspect", "--model", "tiny_factories:broken", "--input", "2,4"),
            "RuntimeError: no such file of weights",
        ),
        (("latency", *REFUSES), "KeyError: 'inside' (--debug shows where)"),
        (("inspect", *CHAIN, "--model-args", "depth=3"), "--model-args: tiny_factories:chain does not take"),
        (("inspect", "--model", "tiny_factories:chain", "--input", "2,5"), "does not run on it"),
        (("inspect", *CHAIN, "--target", "flops=0.5"), "target: expected one of"),
        (("inspect", *CHAIN, "--target", "macs=0.0001"), "closest reachable share"),
        (("inspect", *CHAIN, "--save-plan", "plan.json"), "--save-plan needs a --target"),
        (("inspect", *CHAIN, "--checkpoint", "no_such_file.ckpt"), "No such file"),
        (("export", *CHAIN, "--out", "model.bin"), "--out: expected a file that ends in .onnx or .pt2"),
        (("export", *CHAIN, "--out", "m.pt2", "--plan", "none.json"), "No such file"),
        (("export", *CHAIN, "--out", "m.pt2", "--plan", "p", "--target", "macs=1"), "expected one of them, got both"),
        (("latency", *CHAIN, "--rounds", "0"), "rounds: expected at least 1"),
        (("latency", *CHAIN, "--threads", "0"), "--threads: expected at least 1"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(capsys, words, message):
    assert message in refused(capsys, *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "{inspect,report,compare,export,latency}"),
        (("inspect",), "required"),
        (("inspect", *CHAIN, "--target", "macs"), "such as macs=0.4, got 'macs'"),
        (("inspect", *CHAIN, "--min-share", "=0.5"), "got '=0.5'"),
        (("inspect", *CHAIN, "--model-args", "width"), "expected NAME=VALUE, got 'width'"),
        (("inspect", "--model", "a:b", "--input", "1,x"), "expected a shape such as 1,3,224,224"),
        (("inspect", "--model", "a:b", "--input", "1,0"), "got '1,0'"),
        (("inspect", "--model", "a:b", "--input", "1,2:int3"), "int64, bool, got '1,2:int3'"),
    ],
)
def test_wrong_words_are_explained(capsys, words, message):
    with pytest.raises(SystemExit):
        main(words)
    assert message in " ".join(capsys.readouterr().err.split())


def test_options_may_come_from_a_file(capsys, tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("model: tiny_factories:chain\ninput: ['2,4']\ntarget: macs=0.48\nmin_share: ['0=1']\n")
    words = ("inspect", "--config", str(first), "--max-share", "2=0.5")
    text = printed(capsys, *words)
    assert rows(text)["0"][-1] == "16"
    with pytest.raises(SystemExit):
        main((*words, "--print_config"))
    second.write_text(capsys.readouterr().out)
    again = rows(printed(capsys, "inspect", "--config", str(second)))
    assert [again[name] for name in ("0", "2", "MACs")] == [rows(text)[name] for name in ("0", "2", "MACs")]


def test_without_the_library_of_arguments_the_error_says_what_to_install():
    blocked = (
        "import runpy, sys; sys.modules['jsonargparse'] = None; runpy.run_module('physprune_pl', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: the commands need jsonargparse, which is not installed: pip install jsonargparse\n"


def test_debug_shows_where_an_error_comes_from():
    with pytest.raises(ValueError, match="expected MODULE:FACTORY"):
        main(("inspect", "--model", "tiny_factories", "--input", "2,4", "--debug"))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_examples(command, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    text = capsys.readouterr().out
    make, _ = COMMANDS[command]
    assert make().description in text
    assert text.count(f"python -m physprune_pl {command} ") >= 2
    assert all(len(line) <= 120 for line in text.splitlines())


def test_it_runs_as_a_module():
    words = [sys.executable, "-m", "physprune_pl", "inspect", "--model", "torch.nn:Linear", "--input", "1,3"]
    done = subprocess.run(
        [*words, "--model-args", "in_features=3", "out_features=2"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("torch.nn:Linear: 8 parameters, 6 MACs of one sample; groups: 0")
