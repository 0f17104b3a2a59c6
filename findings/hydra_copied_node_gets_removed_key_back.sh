#!/usr/bin/env bash
# hydra-core 1.4.0rc3 (omegaconf 2.4.1rc1): a key that was removed from a copy of a node is passed to the target.
# Expected, and so with hydra-core 1.3.8: node.copy(), pop("weights"), instantiate(copy, extra=1) calls the target without
# "weights". Seen: "weights" is back, with its old value. It stays away if no keyword is added, if the node is changed in
# place instead of copied, or if the copy is made of plain data.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PYTHON'
import sys

from hydra.utils import instantiate
from omegaconf import OmegaConf


def arguments(copied, **added):
    config = OmegaConf.create({"model": {"_target_": "builtins.dict", "depth": 3, "weights": "file"}})
    node = copied(config.model)
    node.pop("weights")
    return sorted(instantiate(node, **added))


seen = {
    "copied, keyword added": arguments(lambda node: node.copy(), extra=1),
    "copied": arguments(lambda node: node.copy()),
    "in place, keyword added": arguments(lambda node: node, extra=1),
    "plain data, keyword added": arguments(lambda node: OmegaConf.create(OmegaConf.to_container(node)), extra=1),
}
print(seen)
back = ["weights"] if sys.argv[1] == "back" else []
assert seen == {
    "copied, keyword added": ["depth", "extra", *back],
    "copied": ["depth"],
    "in place, keyword added": ["depth", "extra"],
    "plain data, keyword added": ["depth", "extra"],
}
PYTHON
look() { # hydra-core, omegaconf, what is expected of them
  python3 -m venv "$folder/$1"
  "$folder/$1/bin/pip" install --quiet "hydra-core==$1" "omegaconf==$2"
  echo "hydra-core $1, omegaconf $2"
  "$folder/$1/bin/python" -W ignore "$folder/look.py" "$3"
}
look 1.4.0rc3 2.4.1rc1 back
look 1.3.8 2.3.1 gone
