"""Stage synth_guided: sample the generator on text and real images under the base classifier's feedback."""

from src.settings.provenance import run
from src.synthesis.guided_arm import rounds, synthesiser
from src.synthesis.production import synthesise


def main() -> None:
    synthesise("synth_guided", synthesiser, rounds)


if __name__ == "__main__":
    run("synth_guided", main, shared=True, arguments=False)
