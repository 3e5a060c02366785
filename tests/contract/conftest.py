import shutil
import sys
import textwrap
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for tiny.py and weights.py, which test files here share

MANIFEST = """
api = "1.0"
[[component]]
role = "modality"
name = "toy"
summary = "8x2 table"
provides = ["space:vector", "codec:vectors", "codec:soft"]
[[component]]
role = "modality"
name = "toy-text"
summary = "8 words"
provides = ["records:text"]
[[component]]
role = "backbone"
name = "toy-net"
summary = "two linear layers"
provides = ["grad:input", "layers:linear"]
requires = ["space:vector", "cond:pooled"]
[[component]]
role = "backbone"
name = "toy-checkpoint"
summary = "weights of a file"
provides = ["layers:linear"]
requires = ["space:vector"]
config = "scarce_toys:CheckpointOptions"
[[component]]
role = "conditioner"
name = "toy-dense"
summary = "classes through a linear layer"
provides = ["cond:label", "cond:pooled"]
[[component]]
role = "strategy"
name = "toy-extra"
summary = "a second term and an update rule"
[[component]]
role = "strategy"
name = "toy-per-class"
summary = "branches with adapters"
[[component]]
role = "strategy"
name = "toy-pull"
summary = "a measure and other samples"
[[component]]
role = "learner"
name = "toy-learner"
summary = "linear"
provides = ["learner:differentiable"]
config = "scarce_toys:LearnerOptions"
[[component]]
role = "evaluator"
name = "toy-eval"
summary = "accuracy"
config = "scarce_toys:EvaluatorOptions"
[[component]]
role = "acquisition"
name = "toy-first"
summary = "the first logit"
[[component]]
role = "lifecycle"
name = "toy-watcher"
summary = "an observer"
"""

ENTRY_POINTS = """
[scarce.plugins]
scarce-toys = scarce_toys:plugin.toml
[scarce.modalities]
toy = scarce_toys:Table
toy-text = scarce_toys:Text
[scarce.backbones]
toy-net = scarce_toys:Backbone
toy-checkpoint = scarce_toys:Checkpoint
[scarce.conditioners]
toy-dense = scarce_toys:DenseConditioner
[scarce.strategies]
toy-extra = scarce_toys:Extra
toy-per-class = scarce_toys:PerClass
toy-pull = scarce_toys:Pull
[scarce.learners]
toy-learner = scarce_toys:Learner
[scarce.evaluators]
toy-eval = scarce_toys:Evaluator
[scarce.acquisitions]
toy-first = scarce_toys:First
[scarce.lifecycle]
toy-watcher = scarce_toys:Watcher
"""


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """The toy plugins as a really installed distribution, gone again after the file; returns the catalogue that holds them."""
    site = tmp_path_factory.mktemp("site")
    package = site / "scarce_toys"
    package.mkdir()
    shutil.copy(Path(__file__).parent / "toys.py", package / "__init__.py")
    (package / "plugin.toml").write_text(MANIFEST)
    info = site / "scarce_toys-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scarce-toys\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(ENTRY_POINTS))
    (info / "RECORD").write_text("")
    sys.path.insert(0, str(site))
    from scarce.catalogue import read_catalogue

    yield read_catalogue()
    sys.path.remove(str(site))
    sys.modules.pop("scarce_toys", None)
