"""Stage train_committee: other base classifiers, from other seeds, for feedback by disagreement; with none, nothing."""

from pathlib import Path

from src.runtime.files import write_json
from src.runtime.processes import is_main
from src.runtime.seeds import derive
from src.settings.params import load
from src.settings.provenance import run
from stages.train_base import train

OUT = Path("data/committee")


def main() -> None:
    params = load("train_committee")
    if is_main():
        write_json(OUT / "committee.json", {"members": params.committee - 1})
    if params.committee > 1:
        seeds = {k: derive("member", params.seed, k) for k in range(1, params.committee)}
        wanted = [({"member": k}, "train", params.train, seed, OUT / str(k)) for k, seed in seeds.items()]
        train("train_committee", params, wanted)


if __name__ == "__main__":
    run("train_committee", main, shared=True, arguments=False)
