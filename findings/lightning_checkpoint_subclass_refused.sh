#!/usr/bin/env bash
# lightning 2.6.6: Trainer(enable_checkpointing=False) refuses every subclass of lightning.pytorch.callbacks.Checkpoint.
# Expected: the flag leaves out the default ModelCheckpoint, as its documentation says; a callback that writes its own
# files by its own rules stays. Seen: MisconfigurationException, whose text speaks of a ModelCheckpoint that is not there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet lightning==2.6.6 torch==2.15.0 numpy==2.4.6
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import lightning
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint


class OwnFiles(Checkpoint):
    """Writes nothing that Lightning knows of."""


lightning.Trainer(callbacks=[Callback()], enable_checkpointing=False, logger=False, accelerator="cpu")
try:
    lightning.Trainer(callbacks=[OwnFiles()], enable_checkpointing=False, logger=False, accelerator="cpu")
except Exception as error:
    seen = f"{type(error).__name__}: {error}"
print(seen)
assert not issubclass(OwnFiles, ModelCheckpoint)
assert seen.startswith("MisconfigurationException") and "found `ModelCheckpoint` in callbacks list" in seen
PYTHON
