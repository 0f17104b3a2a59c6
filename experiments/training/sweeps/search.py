"""A sweeper that lets Optuna choose the settings of every job: two aims, validation metric up and MACs down."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

JOURNAL, FOUND, REPORT = "search.journal", "search.json", "report.json"


class Search(Sweeper):
    """Asks Optuna for settings, has the launcher run them, and tells Optuna what came of them.

    The first aim is what a job returns, ``train.py`` the metric on validation data; the second is the share of the
    MACs that the report in its folder says is kept. Test data have no say. Everything is written into a journal in
    ``hydra.sweep.dir``: started again in the same folder a search goes on, jobs that were cut off first, with
    ``ckpt_path=last``. It ends with ``search.json``, the trials that no other one beats in both aims.

    Args:
        space: key -> what to vary, as on the command line: ``choice(a, b)``, ``range(1, 5)``, ``interval(0.1, 0.6)``,
            ``tag(log, interval(0.01, 0.2))``.
        trials: number of finished jobs to end with.
        at_once: jobs that the launcher gets at a time.
        seed: of Optuna's choices.

    Raises:
        ValueError: when a number is below 1, or nothing is to be varied.
        ModuleNotFoundError: when Optuna is not installed.
    """

    def __init__(self, space: Mapping[str, str], trials: int, at_once: int = 1, seed: int = 0) -> None:
        for name, value in (("trials", trials), ("at_once", at_once)):
            if value < 1:
                raise ValueError(f"hydra.sweeper.{name}: expected at least 1, got {value}")
        if find_spec("optuna") is None:
            raise ModuleNotFoundError(
                "a search needs a package that is not installed: pip install 'physprune_pl[search]'"
            )
        self.space, self.trials, self.at_once, self.seed = dict(space), trials, at_once, seed
        self.hydra_context: HydraContext | None = None
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives a sweeper."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Any]:
        """Run trials until there are enough; return what the launcher returned."""
        assert self.config is not None
        assert self.hydra_context is not None
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        varied = [f"{key}={value}" for key, value in self.space.items()]
        overrides = {one.get_key_element(): one for one in parser.parse_overrides([*varied, *arguments])}
        space = {key: distribution(one) for key, one in overrides.items() if one.is_sweep_override()}
        if not space:
            raise ValueError("hydra.sweeper.space: expected something to vary, got nothing")
        fixed = [f"{key}={one.get_value_element_as_str()}" for key, one in overrides.items() if key not in space]
        return self._run(study_in(folder, self.seed), space, fixed, folder)

    def _run(
        self, study: Study, space: Mapping[str, BaseDistribution], fixed: Sequence[str], folder: Path
    ) -> list[Any]:
        assert self.launcher is not None
        returned: list[Any] = []
        for numbers in batches(study, space, self.trials, self.at_once):
            jobs = [[*fixed, *settings(study, number), *again(folder / str(number))] for number in numbers]
            self.validate_batch_is_legal(jobs)
            results = self.launcher.launch(jobs, initial_job_idx=numbers[0])
            for number, result in zip(numbers, results, strict=True):
                tell(study, number, outcome(result.return_value, folder / str(number) / REPORT))
            returned += results
            write_front(study, folder / FOUND)
        return returned


def distribution(override: Override) -> BaseDistribution:
    """Return what Optuna calls a sweep: an interval of numbers, or a list of choices, ranges included."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    value: Any = override.value()
    if override.is_interval_sweep():
        return FloatDistribution(float(value.start), float(value.end), log="log" in value.tags)
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def study_in(folder: Path, seed: int) -> Study:
    """Return the search whose journal is in a folder, a new one where there is none."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
        sampler=optuna.samplers.TPESampler(seed=seed),
        study_name="physprune",
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )


def batches(study: Study, space: Mapping[str, BaseDistribution], trials: int, at_once: int) -> Iterator[list[int]]:
    """Yield numbers of trials to run together: those that were cut off, one by one, then new ones until it is enough.

    A launcher numbers the jobs of a batch one after the other, and those that were cut off need not be neighbours.
    """
    for trial in study.get_trials(states=(_states().RUNNING,)):
        yield [trial.number]
    while (missing := trials - len(study.get_trials(states=(_states().COMPLETE, _states().FAIL)))) > 0:
        yield [study.ask(dict(space)).number for _ in range(min(missing, at_once))]


def settings(study: Study, number: int) -> list[str]:
    """Return the overrides of a trial."""
    return [f"{key}={value}" for key, value in study.trials[number].params.items()]


def again(folder: Path) -> list[str]:
    """Return what lets a job go on that was cut off in its folder."""
    return ["ckpt_path=last"] if (folder / "checkpoints" / "last.ckpt").is_file() else []


def outcome(metric: Any, report: Path) -> tuple[float, float] | None:
    """Return the two aims of a job, metric and share of the MACs kept; None of one that failed."""
    if not isinstance(metric, float) or not math.isfinite(metric) or not report.is_file():
        return None
    macs = json.loads(report.read_text(encoding="utf-8"))["macs"]
    return metric, macs["pruned"] / macs["dense"]


def tell(study: Study, number: int, values: tuple[float, float] | None) -> None:
    """Tell Optuna what came of a trial."""
    if values is None:
        study.tell(number, state=_states().FAIL)
    else:
        study.tell(number, values)


def write_front(study: Study, path: Path) -> None:
    """Write the trials that no other one beats in both aims, the fewest MACs first."""
    best = sorted(study.best_trials, key=lambda trial: trial.values[1])
    rows = [
        {"job": trial.number, "settings": trial.params, "metric": trial.values[0], "macs_kept": trial.values[1]}
        for trial in best
    ]
    path.write_text(json.dumps({"trials": len(study.trials), "front": rows}, indent=1) + "\n", encoding="utf-8")


def _states() -> Any:
    from optuna.trial import TrialState

    return TrialState
