"""The report's last part: what its terms mean, for a reader who meets them here."""

from src.reporting.blocks import Block, Table

TERMS = {
    "few-shot, medium-shot, many-shot": "the mean accuracy over classes with less than 20, 20 to 100 and more than 100 "
    "training images, each class counting alike",
    "base": "the classifier trained on the imbalanced real images alone; its answers steer the guided images",
    "all real": "the classifier trained on the real images that were left out to make the imbalance: what balancing "
    "could reach",
    "points": "differences of percentages: from 40 to 45 % are 5 points",
    "interval (95 %)": "where the true difference lies, as far as the draw of the test images is concerned; one that "
    "holds 0 does not tell the arms apart",
    "calibration error": "how far the classifier's confidence is from its share of right answers, on average (ECE)",
    "class agreement": "the share of synthetic images that the judge, a classifier of all real images, reads as the "
    "class that was asked for",
    "FID": "a distance between the distributions of real and synthetic images in a network's features; lower is "
    "nearer, and it compares only within one feature space and one number of images",
    "density, precision": "how many real neighbourhoods hold a synthetic image, and the share of synthetic images "
    "that lie in one: whether they look real; 1 is as real images themselves",
    "coverage, recall": "the share of real images with a synthetic one near, and of those within the synthetic "
    "images' neighbourhoods: whether they are as varied; 1 is all",
    "feedback": "what the base says of an image (loss, entropy, hardness), up which sampling pushes it; its scale is "
    "the length of the push",
}  # fmt: skip


def terms() -> list[Block]:
    """The terms of the report with their meaning, folded."""
    return [Table("What the terms mean", ["term", "meaning"], list(TERMS.items()), words=True).folded]
