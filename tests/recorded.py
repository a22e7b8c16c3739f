"""What DVC would have recorded of results that a test makes by itself."""

from pathlib import Path

import yaml


def record(root: Path, *outs: str) -> None:
    """Have params.yaml and dvc.lock at `root` say that a stage wrote these paths with the parameters there."""
    (root / "params.yaml").write_text("seed: 0\n")
    stage = {"params": {"params.yaml": {"seed": 0}}, "outs": [{"path": path} for path in outs]}
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"stage": stage}}))
