"""README and docs/: every block of code runs, every command is understood, every link leads somewhere."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import entry_points
import lightning as L
import pytest
import torch
from configured import ROOT
from lightning.pytorch import Callback
from lightning.pytorch.cli import LightningCLI
from omegaconf import OmegaConf
from pages import MY_PROJECT, PAGES, README, MyModule, QuickTrainer, blocks, prose, shortened

from experiments import readme
from experiments.training.assembly import composed
from experiments.training.hydra_versions import instantiate
from physprune_pl import forces
from physprune_pl.commands import parser
from physprune_pl.export import missing

# What Lightning advises about tiny fits is of no interest here.
pytestmark = pytest.mark.filterwarnings("default")

GUIDES = ROOT / "docs" / "guides"
TRANSFORMERS = GUIDES / "transformers.md"
WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, a project to import from, a trainer that is soon done."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "my_project", MY_PROJECT)
    monkeypatch.setattr(L, "Trainer", QuickTrainer)
    return tmp_path


def run_blocks(page: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for block in blocks(page, "python"):
        if "export_onnx" in block and any(missing()):
            block = block.replace("export_onnx(", "export_program(")
        exec(compile(shortened(block), name_of(page), "exec"), names)
    return names


def test_the_three_lines_leave_a_report_and_a_checkpoint_that_loads(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_points.install(monkeypatch)
    names = run_blocks(README)
    report = names["pruning"].report
    assert report.macs["pruned"] < report.macs["dense"]
    assert {"report.html", "report.json", "report.md"} <= {path.name for path in (project / "logs").rglob("report.*")}

    names["trainer"].save_checkpoint("last.ckpt")
    module = run_blocks(GUIDES / "export.md")["module"]
    assert module.body[0].out_features == names["trainer"].model.body[0].out_features < 16
    assert {"model.onnx", "model.pt2"} <= {path.name for path in project.iterdir()}


@pytest.mark.parametrize(
    "page", [page for page in WITH_PYTHON if page not in (README, GUIDES / "export.md", TRANSFORMERS)], ids=name_of
)
def test_every_block_of_python_runs(page: Path, project: Path) -> None:
    torch.save({"state_dict": MyModule().state_dict()}, project / "dense.ckpt")
    names = run_blocks(page)
    if "trainer" in names:
        report = (names.get("pruning") or names["callbacks"][-1]).report
        assert report.macs["pruned"] < report.macs["dense"]
    if "plan" in names:
        assert names["model"][0].out_features == names["plan"].groups[0].after


def test_a_network_of_transformers_is_loaded_in_both_ways(project: Path) -> None:
    pytest.importorskip("transformers", reason="needs transformers")
    names = run_blocks(TRANSFORMERS)
    assert type(names["loaded"]) is type(names["model"])
    assert names["loaded"].config.intermediate_size < 96


def test_a_law_of_the_guide_is_the_law_of_the_fit(project: Path) -> None:
    names = run_blocks(GUIDES / "own_law.md")
    assert issubclass(names["Spring"], forces.ForceLaw)
    assert names["callbacks"][0].law.force == names["Spring"](2.0)


def test_the_command_line_of_the_guide_reaches_the_law(project: Path) -> None:
    cli = run_blocks(GUIDES / "lightning_cli.md")["PruningCLI"]
    quiet = [f"--trainer.{name}=false" for name in ("logger", "enable_checkpointing", "enable_progress_bar")]
    assert callable(run_blocks(GUIDES / "lightning_cli.md")["main"])
    arguments = ["--trainer.max_epochs=10", *quiet, "--pruning.force=gravity", "--pruning.target.macs=0.5"]
    built = cli(MyModule, args=arguments, run=False, save_config_callback=None, seed_everything_default=0)
    assert type(built.pruning[0].law.force).__name__ == "Gravity"


def built_by_cli(text: str, tmp_path: Path) -> list[Any]:
    (tmp_path / "cli.yaml").write_text(text)
    arguments = ["--config", str(tmp_path / "cli.yaml"), "--trainer.logger=false"]
    built = LightningCLI(MyModule, args=arguments, run=False, save_config_callback=None, seed_everything_default=0)
    return list(built.trainer.callbacks)


def test_every_block_of_yaml_for_a_command_line_means_what_the_text_says(tmp_path: Path) -> None:
    one, two = blocks(GUIDES / "lightning_cli.md", "yaml")
    assert [type(one).__name__ for one in built_by_cli(one, tmp_path)][:1] == ["PhysicsPruning"]
    assert [type(one).__name__ for one in built_by_cli(two, tmp_path)[:2]] == [
        "ForceRegularization",
        "PruneAndFinetune",
    ]
    steered = built_by_cli(two.replace("coefficient: 0.02", "coefficient: auto"), tmp_path)[0]
    assert steered.coefficient == "auto"


def test_every_block_of_yaml_for_hydra_means_what_the_text_says() -> None:
    app, template = (OmegaConf.create(text) for text in blocks(GUIDES / "hydra.md", "yaml"))
    # Composed from the wheel in test_package.py.
    assert app.hydra.searchpath == ["pkg://physprune_pl.conf"]
    assert f"{app.defaults[0]}.yaml" in {path.name for path in (ROOT / "conf").iterdir()}
    (built,) = [instantiate(node) for node in template.callbacks.values() if "_target_" in node]
    assert isinstance(built, Callback)
    assert built[-1].finetune_epochs == 20


def commands() -> Iterator[list[str]]:
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.splitlines():
                yield shlex.split(line, comments=True)


def test_every_command_is_understood() -> None:
    makefile = (ROOT / "Makefile").read_text()
    seen = set()
    for program, *words in commands():
        if program == "make":
            assert f"\n{words[0]}: " in makefile
        elif words[:2] == ["-m", "physprune_pl"]:
            parser().parse_args(words[2:])
        elif words[:2] == ["-m", "pip"]:
            assert words[2:] in (
                ["install", f".[{extra}]"] for extra in ("report", "experiments", "openvino", "executorch")
            )
        else:
            assert words[0] == "train.py"
            sweep = words[1] == "-m"
            composed([word.split(",")[0] for word in words[1 + sweep :] if not word.startswith("hydra.")])
        seen.add(words[0])
    assert seen == {"demo", "test", "-m", "train.py"}


def headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere_and_no_line_is_too_long(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target) or anchor.rstrip("-") in headings(target), link
    # Tables cannot be broken; a line of prose has at most 120 characters.
    assert all(len(line) <= 120 for line in page.read_text().splitlines() if not line.startswith("|"))


def test_the_readme_is_short_and_shows_how_to_try_it() -> None:
    assert len(prose(README).split()) <= 900
    assert all(command in README.read_text() for command in ("make demo", "make test", "make docs"))


def test_the_table_is_that_of_the_stored_results() -> None:
    assert readme.results_table() in README.read_text(), "write it again: python -m experiments.readme"
