"""Nothing is run, fetched or overwritten that nobody asked for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "physprune_pl").rglob("*.py"))
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in FILES)

# Whatever opens a socket or starts a process while these are imported is found out, before anything is sent or run.
BLOCKED = """
import importlib, sys

def refuse(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname" or event in ("subprocess.Popen", "os.system"):
        raise RuntimeError(f"{event}{arguments}")

for name in sys.argv[1].split(","):
    importlib.import_module(name)
sys.addaudithook(refuse)
for name in sys.argv[2].split(","):
    importlib.import_module(name)
"""


def test_importing_the_package_opens_no_socket_and_starts_no_process():
    ours = ",".join(name for name in MODULES if not name.endswith("__main__"))
    theirs = "torch,torchvision,lightning.pytorch,torchmetrics,numpy"
    subprocess.run([sys.executable, "-c", BLOCKED, theirs, ours], check=True, cwd=ROOT, timeout=300)


def test_the_block_finds_what_opens_a_socket(tmp_path):
    (tmp_path / "opens.py").write_text("import socket; socket.socket()")
    found = subprocess.run(
        [sys.executable, "-c", BLOCKED, "json", "opens"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "RuntimeError: socket.__new__" in found.stderr


def _names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {one.arg: ast.unparse(one.value) for one in node.keywords}


FORBIDDEN = ("eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_of_the_package_evaluates_text_or_unpickles(path):
    for name, keywords in _names(ast.parse(path.read_text())):
        assert name not in FORBIDDEN, name
        assert not name.startswith("subprocess."), name
        assert keywords.get("shell") is None, name
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", ast.dump(keywords)
        if name in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle", "False") == "False"
