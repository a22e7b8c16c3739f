"""The parts of a report: each module makes the blocks of one or two of them from a run."""
