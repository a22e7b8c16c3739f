"""Stage eval_acc: base, synaug and guided side by side on the test split, which no other stage reads.

`all_real` is the reference classifier, trained on every real training image: what balancing could reach at best. Where
the imbalanced training split already holds all of them, it is marked `"bound": false`.
"""

from src.classifiers.models import load as load_classifier
from src.data.labelled_images import image_counts
from src.data.names import read_names
from src.evaluation.accuracy import accuracy_report, predict, reliability
from src.runtime.files import write_csv, write_json
from src.runtime.processes import device
from src.settings.arms import ARMS, BOUND
from src.settings.provenance import run
from src.shards.store import Shards


def main() -> None:
    names = read_names("data/real")
    train, test = Shards("data/real/train"), Shards("data/real/test")
    counts, group_counts = image_counts(train, names)
    truth, groups = {"actual": [names.classes[y] for y in test.labels]}, {}
    if names.contexts:
        groups = {"contexts": test.contexts, "context_names": names.contexts, "group_counts": group_counts}
        truth["context"] = [names.contexts[a] for a in test.contexts]
    images, report = test.images(), {}
    for arm, (_, folder) in ARMS.items():
        probabilities = predict(load_classifier(folder).to(device()), images)
        report[arm] = accuracy_report(probabilities, test.labels, counts, names.classes, **groups)
        write_csv(f"data/results/calibration/{arm}.csv", reliability(probabilities, test.labels))
        columns = {**truth, "predicted": [names.classes[k] for k in probabilities.argmax(1)]}
        write_csv(
            f"data/results/confusion/{arm}.csv",
            [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
        )
    if len(Shards("data/real/pool")) == len(train):  # the pool contains the training split
        report[BOUND] = {"bound": False, **report[BOUND]}
    write_json("data/results/accuracy.json", report)


if __name__ == "__main__":
    run("eval_acc", main, arguments=False)
