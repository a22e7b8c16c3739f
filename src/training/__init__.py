"""Classifiers on imbalanced data: models, losses, batches, mixing, the training loop, the last layer."""
