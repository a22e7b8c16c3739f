"""Files damaged at random, or made up from nothing, are read or refused with an InputError: tests.long.fuzz in short.

The same inputs as there, drawn by hypothesis, without its limit on memory.
"""

import json
import pickle
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.runtime.errors import InputError
from tests.long.fuzz import supervise
from tests.long.fuzzing.inputs import STRUCTURED, changed, damaged, made_up
from tests.long.fuzzing.parsers import PARSERS, Parser
from tests.long.fuzzing.target import Target

# The same inputs each time: what is new is looked for by `make fuzz`, not by whoever changes something else.
FEW = settings(
    max_examples=200, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
SLOW = {"params", "generator", "classifier", "weights"}  # ten times as long for one input


@pytest.fixture(scope="module")
def targets(tmp_path_factory) -> dict[str, Target]:
    return {name: Target(name, tmp_path_factory.mktemp(name)) for name in PARSERS}


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_a_damaged_file_is_read_or_refused(name, targets):
    target = targets[name]

    @settings(FEW, max_examples=30 if name in SLOW else 200)
    @given(st.sampled_from(target.names), st.integers(0, 2**32))
    def once(file: str, seed: int) -> None:
        assert target.run(file, damaged(target.valid[file], file, Random(seed))) is None

    once()


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_a_file_made_up_from_nothing_is_read_or_refused(name, targets):
    target = targets[name]

    @settings(FEW, max_examples=10 if name in SLOW else 50)
    @given(st.sampled_from(target.names).flatmap(lambda file: st.tuples(st.just(file), made_up(file))))
    def once(case: tuple[str, bytes]) -> None:
        assert target.run(*case) is None

    once()


def test_the_valid_files_themselves_are_read(targets):
    for target in targets.values():
        for name in target.names:
            before = target.counts["accepted"]
            assert target.run(name, target.valid[name]) is None
            assert target.counts["accepted"] == before + 1, f"{name} was refused"


def test_every_structured_mutation_changes_its_file_and_keeps_its_notation(targets):
    for target in targets.values():
        for name in target.names:
            if mutate := STRUCTURED.get(name.rpartition(".")[2]):
                made = {mutate(target.valid[name], Random(seed)) for seed in range(30)}
                assert len(made - {target.valid[name]}) > 10
                if name.endswith(".json"):
                    [json.loads(data) for data in made]


@given(st.integers(0, 2**32))
def test_one_change_of_a_tree_leaves_a_tree(seed):
    tree = {"a": [1, {"b": 2}], "c": "d"}
    json.dumps(changed(tree, Random(seed)))


def crash(folder: Path) -> None:
    """A parser with every fault that the fuzzer is to find."""
    data = (folder / "file").read_bytes()
    if b"!" in data:
        raise KeyError("our fault")
    if data != b"valid":
        raise InputError("your fault; correct it")


FAULTY = Parser(lambda folder: (folder / "file").write_bytes(b"valid"), crash)


def test_the_fuzzer_finds_a_fault_and_keeps_its_smallest_input(tmp_path, monkeypatch):
    monkeypatch.setitem(PARSERS, "faulty", FAULTY)
    target = Target("faulty", tmp_path)
    target.try_one("file", b"something! longer!")
    (found,) = target.failures.values()
    assert found["input"] == b"!" and found["problem"].startswith("KeyError at ")
    target.try_one("file", b"again!")
    target.try_one("file", b"other")
    assert len(target.failures) == 1 and target.counts["refused"] > 0


@pytest.mark.slow
def test_a_parser_is_fuzzed_in_a_process_of_its_own_which_says_how_often(tmp_path):
    found = supervise("names", seconds=1, seed=0, keep=tmp_path)
    assert found["failures"] == [] and found["executions"] == found["refused"] + found["accepted"] > 100
    assert not list(tmp_path.iterdir())


def test_no_parser_unpickles_what_is_not_numpy(targets, tmp_path):
    class Code:
        def __reduce__(self):
            return Path.mkdir, (tmp_path / "was_run",)

    for name in ("cifar10_python", "cifar100_python", "weights"):
        target = targets[name]
        for file in target.names:
            assert target.run(file, pickle.dumps({"data": Code(), "labels": Code()})) is None
    assert not (tmp_path / "was_run").exists()
