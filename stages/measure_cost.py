"""Stage measure_cost: what an image of an arm costs on this machine, guided and unguided, into metrics/cost/<arm>.json.

What all images took, metrics/sampling/<arm>.json, is taken in where it is that of the images in data/synth/<arm>.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from src.runtime.files import hash_file, read_json, write_json
from src.runtime.pipeline import arm_of
from src.settings.params import load
from src.settings.provenance import run
from src.shards.store import INDEX
from src.synthesis.cost import cost_of
from stages import synth_guided, synth_synaug

SYNTHESISERS = {"synaug": synth_synaug.synthesiser, "guided": synth_guided.synthesiser}


def sampling(arm: str) -> Mapping[str, float]:
    """Images, seconds and peak_memory_gb; empty if it is not known, as after a checkout."""
    path = Path(f"metrics/sampling/{arm}.json")
    took = dict(read_json(path)) if path.exists() else {}
    return took if took.pop("index", None) == hash_file(f"data/synth/{arm}/{INDEX}") else {}


def main() -> None:
    arm = arm_of("measure_cost", sys.argv[1:])
    params = load(f"synth_{arm}")  # whose images are measured
    settings = {"generator": params.generator.name}
    if arm == "guided":
        settings["feedback"] = params.feedback.name
    write_json(f"metrics/cost/{arm}.json", cost_of(SYNTHESISERS[arm](params), sampling(arm), **settings))


if __name__ == "__main__":
    run("measure_cost", main)
