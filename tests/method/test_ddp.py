"""Two processes stay one training."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "two_processes.py"


def test_processes_agree_also_on_a_batch_that_is_bad_for_one_of_them(tmp_path):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(SCRIPT), str(tmp_path)]
    done = subprocess.run([sys.executable, *launch], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["clock"] == second["clock"] == (7, 8, 1)
    assert torch.equal(first["price"], second["price"])
    for name, value in first["weights"].items():
        assert value.isfinite().all(), name
        assert torch.equal(value, second["weights"][name]), name
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["occfit"]
    generators = [saved["generators"], *saved["generators_of_others"]]
    assert len(generators) == 2
    assert not torch.equal(generators[0]["cpu"], generators[1]["cpu"])
    for rank, states in enumerate(generators):
        resumed = torch.load(tmp_path / f"generator{rank}.pt", weights_only=True)
        assert torch.equal(resumed, states["cpu"])  # since nothing draws in a step
