"""The prompts of a run: the data set's, with learnt words for the classes where the generator was taught some."""

from src.data.names import Names
from src.generators.fitting.methods import prompt_words
from src.settings.sections import Params
from src.synthesis.prompts import Prompts


def prompts_for(params: Params, names: Names) -> Prompts:
    """InputError as for `Prompts`."""
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    words = prompt_words(params.generator, len(prompts))
    return prompts if words is None else prompts.saying(words)
