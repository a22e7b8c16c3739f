"""Stage eval_acc: base, synaug and guided side by side on the test split, which no other stage reads.

`all_real` is the reference classifier, trained on every real training image: what balancing could reach at best.
"""

import numpy as np

from src.data.prompts import Prompts
from src.errors import run_stage
from src.evaluation.accuracy import accuracy_report, predict
from src.files import write_csv, write_json
from src.parallel import device
from src.params import load
from src.shards import Shards
from src.training.models import load as load_classifier

ARMS = {
    "base": "data/base",
    "synaug": "data/retrained/synaug",
    "guided": "data/retrained/guided",
    "all_real": "data/reference",
}


def main() -> None:
    params = load("eval_acc")
    names = Prompts(f"prompts/{params.dataset}.yaml").classes
    counts = np.bincount(Shards("data/real/train").labels).tolist()
    test = Shards("data/real/test")
    images, report = test.images(), {}
    for arm, folder in ARMS.items():
        probabilities = predict(load_classifier(folder).to(device()), images)
        report[arm] = accuracy_report(probabilities, test.labels, counts, names)
        pairs = zip(test.labels, probabilities.argmax(1), strict=True)
        write_csv(f"metrics/confusion/{arm}.csv", [{"actual": names[y], "predicted": names[k]} for y, k in pairs])
    write_json("metrics/accuracy.json", report)


if __name__ == "__main__":
    run_stage(main)
