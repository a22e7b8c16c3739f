"""The prompts of a run: the data set's, with learnt words for the classes where the generator was taught some."""

from src.data.names import Names
from src.generators.fitting.textual_inversion import words_of
from src.settings.sections import Params
from src.synthesis.prompts import Prompts


def prompts_for(params: Params, names: Names) -> Prompts:
    """InputError as for `Prompts`."""
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    fit = params.generator.fit
    return prompts.saying(words_of(len(prompts))) if fit and fit.method == "textual_inversion" else prompts
