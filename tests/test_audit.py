"""The audit of the requirements passes only what was looked up and found sound."""

import json

import pytest

from src.runtime.errors import InputError
from tests.long.audit import verdict

SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}
FLAWED = {"name": "pillow", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "torch", "skip_reason": "not found"}


def answer(*packages: dict) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_packages_that_were_all_looked_up_and_are_sound_pass():
    assert verdict(answer(SOUND, SOUND), "") == "2 locked packages, none with a known vulnerability"


@pytest.mark.parametrize(
    ("output", "reason", "sentence"),
    [
        (
            answer(SOUND, UNKNOWN),
            "No known vulnerabilities found",
            "1 of 2 packages could not be audited, such as torch",
        ),
        (answer(), "", "0 of 0 packages could not be audited"),
        (answer(SOUND, FLAWED, UNKNOWN), "", r"pillow 1\.0 CVE-1 \(mended in 1\.1\); ask for a mended version"),
        ("", "Traceback\nConnectionError: no route", r"nothing was audited \(ConnectionError: no route\)"),
        ("[]", "", r"nothing was audited \(no answer\)"),
    ],
)
def test_what_was_not_looked_up_or_is_flawed_does_not_pass(output, reason, sentence):
    with pytest.raises(InputError, match=sentence):
        verdict(output, reason)
