"""A pickle that would do something if anybody opened it, in the forms that weights come in."""

import os
import pickle
from pathlib import Path

import torch


class Burglar:
    """A pickle that makes a file when it is opened."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def loaded(path: Path, payload: Burglar, form: str) -> Path:
    """The payload as a plain pickle, as torch writes one, or as torch once did."""
    if form == "plain":
        path.write_bytes(pickle.dumps({"weight": payload}, protocol=2))
    else:
        torch.save({"state_dict": payload}, path, _use_new_zipfile_serialization=form == "zip")
    return path
