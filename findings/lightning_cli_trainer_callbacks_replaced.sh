#!/usr/bin/env bash
# lightning 2.6.6: LightningCLI.instantiate_trainer(callbacks=...) replaces the callbacks of trainer.callbacks.
# Expected: a CLI that hands over callbacks of its own adds them to those that the configuration names. Seen: the trainer
# has its own alone; what the user configured, a ModelCheckpoint for instance, is gone without a word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet lightning==2.6.6 torch==2.15.0 numpy==2.4.6 'jsonargparse[signatures]==4.53.0'
cat > "$folder/main.yaml" <<'YAML'
trainer:
  logger: false
  callbacks:
    - class_path: lightning.pytorch.callbacks.LearningRateFinder
YAML
cd "$folder"
"$folder/env/bin/python" -W ignore - --config main.yaml <<'PYTHON'
from lightning.pytorch.callbacks import Callback, LearningRateFinder
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.demos.boring_classes import BoringModel


class OwnCallback(Callback):
    pass


class OwnCLI(LightningCLI):
    def instantiate_trainer(self, **kwargs):
        return super().instantiate_trainer(**kwargs, callbacks=[OwnCallback()])


plain = LightningCLI(BoringModel, run=False, save_config_callback=None)
assert any(isinstance(one, LearningRateFinder) for one in plain.trainer.callbacks)
own = OwnCLI(BoringModel, run=False, save_config_callback=None)
kinds = {type(one) for one in own.trainer.callbacks}
print(sorted(kind.__name__ for kind in kinds))
assert OwnCallback in kinds and LearningRateFinder not in kinds
PYTHON
