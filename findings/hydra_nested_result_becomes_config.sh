#!/usr/bin/env bash
# hydra-core 1.4.0rc3 (omegaconf 2.4.1rc1): what a nested _target_ returns loses its class if it is a kind of dict.
# Expected, and so with hydra-core 1.3.8: {"n": {"_target_": "collections.Counter", ...}} gives a Counter under "n".
# Seen: a DictConfig, without the methods of Counter. The same node alone, or as an argument of another target, gives the
# Counter. Lists are turned into ListConfig by both versions, so a target that returns a list of callbacks is no list in a
# dict of callbacks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PYTHON'
import sys

from hydra.utils import instantiate
from omegaconf import OmegaConf

counter = {"_target_": "collections.Counter", "x": 1}
numbers = {"_target_": "builtins.list", "_args_": [[1, 2]]}
seen = [
    type(instantiate(OmegaConf.create(counter))).__name__,
    type(instantiate(OmegaConf.create({"n": counter}))["n"]).__name__,
    type(instantiate(OmegaConf.create({"_target_": "builtins.dict", "n": counter}))["n"]).__name__,
    type(instantiate(OmegaConf.create({"n": numbers}))["n"]).__name__,
]
print(seen)
assert seen == ["Counter", sys.argv[1], "Counter", "ListConfig"]
PYTHON
look() { # hydra-core, omegaconf, what is expected of them
  python3 -m venv "$folder/$1"
  "$folder/$1/bin/pip" install --quiet "hydra-core==$1" "omegaconf==$2"
  echo "hydra-core $1, omegaconf $2"
  "$folder/$1/bin/python" -W ignore "$folder/look.py" "$3"
}
look 1.4.0rc3 2.4.1rc1 DictConfig
look 1.3.8 2.3.1 Counter
