"""Tables of studies: means, intervals, paired differences and rank correlation, against numbers known otherwise."""

from dataclasses import replace

import pytest
from scipy import stats

from src.runtime.files import write_csv
from src.studies.figures import by_variant, paired_differences
from src.studies.origin import Origin, of_one_code
from src.studies.study import Study, Variant
from src.studies.summary import MANY, absent, brief, cell, comparisons, difference, pairs, sample, verdict
from src.studies.tables import differences, markdown, older_commits, origin_of, predictions, read_rows, rows

STUDY = Study(
    name="x", title="Title", question="Question?", against="none", seeds=(1, 2, 3), metrics=("few", "fid"),
    judged=("few",), variants=(Variant("none", {}), Variant("more", {}, "guided", ("none",))),
    reported=({"variant": "more", "metric": "few", "value": None, "source": "paper"},),
)  # fmt: skip
MEASURED = {
    "none": {seed: {"few": value, "fid": 2.0} for seed, value in zip((1, 2, 3), (0.5, 0.6, 0.7), strict=True)},
    "more": {seed: {"few": value, "fid": 3.0} for seed, value in zip((1, 2, 3), (0.61, 0.7, 0.82), strict=True)},
}


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ((4,), "seed 4"),
        ((1, 2, 3), "n = 3 seeds (1 to 3)"),
        ((0, 1, 7, 100, 101), "n = 5 seeds (0 to 1, 7, 100 to 101)"),
    ],
)
def test_which_seeds_a_study_has_is_said_without_those_between(seeds, words):
    assert sample(replace(STUDY, seeds=seeds)) == words


def test_a_difference_is_paired_by_seed_and_in_points():
    found = difference(STUDY, MEASURED, ("more", "none"), "few")
    test = stats.ttest_1samp([11.0, 10.0, 12.0], 0)
    interval = test.confidence_interval()
    assert cell(STUDY, MEASURED, STUDY.variants[1], "few")[0] == pytest.approx(71)
    assert (found.mean, found.half) == pytest.approx((11, (interval.high - interval.low) / 2))
    assert found.p == pytest.approx(test.pvalue) and pairs(STUDY) == [("more", "none")]


def test_a_contrast_is_the_weighted_sum_of_each_seed_and_tested_with_the_pairs():
    study = replace(STUDY, contrasts={"twice": {"more": 2, "none": -2}})
    pair, contrast = (d[0] for d in comparisons(study, MEASURED))
    assert (contrast.mean, contrast.half, contrast.p) == pytest.approx((2 * pair.mean, 2 * pair.half, pair.p))
    assert [row["difference"] for row in differences(study, MEASURED)] == ["more less none", "twice"]
    assert verdict(study, MEASURED)[1].startswith("twice: few-shot accuracy higher by 22.0")
    assert difference(study, {**MEASURED, "none": {}}, ("twice", ""), "few") is None
    assert paired_differences(study, MEASURED)


def test_a_missing_seed_leaves_the_cell_empty_instead_of_averaging_the_rest():
    partly = {**MEASURED, "more": {1: MEASURED["more"][1]}}
    assert cell(STUDY, partly, STUDY.variants[1], "few") is None
    assert "| more | - | - |" in markdown(STUDY, partly, {})


def test_the_verdict_says_what_cannot_be_told_from_zero():
    noisy = {**MEASURED, "more": {s: {"few": v, "fid": 3.0} for s, v in zip((1, 2, 3), (0.4, 0.7, 0.75), strict=True)}}
    assert verdict(STUDY, MEASURED) == ["more against none: few-shot accuracy higher by 11.0 ± 2.5 points"]
    assert verdict(STUDY, noisy) == ["more against none: no difference beyond chance in few-shot accuracy"]


def test_in_brief_what_holds_is_bold():
    noisy = {**MEASURED, "more": {1: {"few": 0.30}, 2: {"few": 0.61}, 3: {"few": 0.50}}}
    assert brief(STUDY, MEASURED) == "more over none: **few-shot accuracy +11.0 ± 2.5**"
    assert "**" not in brief(STUDY, noisy)
    both = replace(STUDY, judged=("few", "fid"))
    assert brief(both, MEASURED) == "more over none: **few-shot accuracy +11.0 ± 2.5**, **FID +1.0 ± 0.0**"


def test_of_many_comparisons_those_beyond_chance_are_told_and_the_others_counted():
    names = ["better", *(f"same {k}" for k in range(MANY))]
    study = replace(STUDY, variants=(STUDY.variants[0], *(Variant(name, {}, "guided", ("none",)) for name in names)))
    noisy = {1: {"few": 0.7, "fid": 3.0}, 2: {"few": 0.4, "fid": 3.0}, 3: {"few": 0.65, "fid": 3.0}}
    better = {seed: {**row, "few": row["few"] + 0.1 + seed * 1e-6} for seed, row in MEASURED["none"].items()}
    measured = {"none": MEASURED["none"], **dict.fromkeys(names, noisy), "better": better}
    assert brief(study, measured) == (
        f"better over none: **few-shot accuracy +10.0 ± 0.0**<br>{MANY} others: no difference beyond chance"
    )
    told, rest = verdict(study, measured)
    assert told == "better against none: few-shot accuracy higher by 10.0 ± 0.0 points"
    assert rest.startswith("no difference beyond chance in few-shot accuracy: same 0 against none, same 1 against none")
    assert brief(study, {**measured, "better": noisy}) == f"{MANY + 1} comparisons: no difference beyond chance"


def test_why_a_study_does_not_ask_for_usefulness_is_said():
    text = markdown(replace(STUDY, unpredicted="the images are the same", note="small"), MEASURED, {})
    assert "is not asked here: the images are the same." in text and "Note: small." in text


def test_experiments_without_any_result_are_counted():
    partly = {"none": {1: {"few": None, "fid": None}, 2: {"few": 0.5, "fid": None}, 3: {"few": 0.5}}}
    assert absent(STUDY, MEASURED) is None
    assert absent(STUDY, partly).startswith("4 of ")


def test_the_table_names_sources_unknown_numbers_and_failures():
    text = markdown(STUDY, MEASURED, {"more, seed 2": "the disk is full"})
    assert "| more | few-shot accuracy | unknown | paper |" in text and "- more, seed 2: the disk is full" in text
    assert "+11.0 ± 2.5" in text and "seeds (1 to 3)" in text
    assert "rank correlation" not in text
    text = markdown(STUDY, MEASURED, {}, predictions({"fid": (-0.5, -0.75, 0.125)}))
    assert "gain in few-shot accuracy" in text and "| FID | -0.50 | -0.75 to +0.12 |" in text
    assert rows(STUDY, MEASURED)[4] == {"variant": "more", "seed": 2, "code": "", "few": 0.7, "fid": 3.0}


def test_a_study_written_as_rows_is_read_back_as_it_was(tmp_path):
    partly = {**MEASURED, "more": {1: {"few": None, "fid": 0.1 + 0.2}}}
    write_csv(tmp_path / "x.csv", rows(STUDY, partly))
    found = read_rows((tmp_path / "x.csv").read_bytes())
    assert found["none"] == MEASURED["none"] and found["more"][1] == partly["more"][1]
    assert found["more"][2] == {"few": None, "fid": None}


def test_the_figure_is_a_png_of_repeatable_bytes():
    for figure in (by_variant, paired_differences):
        assert figure(STUDY, MEASURED)[:4] == b"\x89PNG" and figure(STUDY, MEASURED) == figure(STUDY, MEASURED)


def test_words_hold_together_over_all_comparisons_of_a_study():
    """What passes for an effect alone may be the luckiest of twenty."""
    gained = {seed: {"few": value["few"] + gain, "fid": 2.0}
              for (seed, value), gain in zip(MEASURED["none"].items(), (0.02, 0.022, 0.025), strict=True)}  # fmt: skip
    assert ": few-shot accuracy higher by " in verdict(STUDY, {**MEASURED, "more": gained})[0]
    names = [f"v{k}" for k in range(20)]
    many = replace(STUDY, variants=(STUDY.variants[0], *(Variant(name, {}, "guided", ("none",)) for name in names)))
    measured = {**dict.fromkeys(("none", *names), MEASURED["none"]), "v0": gained}
    assert verdict(many, measured)[0].endswith("no difference beyond chance in few-shot accuracy")


def test_several_metrics_that_a_study_is_judged_by_are_tested_together():
    """A difference that holds alone need not hold beside one that is none."""
    gained = {seed: {"few": value["few"] + gain, "fid": 2.0 + noise}
              for (seed, value), gain, noise in zip(MEASURED["none"].items(), (0.02, 0.03, 0.026), (0.1, -0.1, 0.05),
                                                    strict=True)}  # fmt: skip
    measured = {**MEASURED, "more": gained}
    p = difference(STUDY, measured, ("more", "none"), "few").p
    assert 0.0125 < p < 0.025
    assert "few-shot accuracy higher" in verdict(replace(STUDY, judged=("few", "fid")), measured)[0]
    four = replace(STUDY, variants=(*STUDY.variants, Variant("even", {}, "guided", ("none",))), judged=("few", "fid"))
    assert verdict(four, {**measured, "even": MEASURED["none"]})[0].endswith("beyond chance in few-shot accuracy, FID")


def test_a_variant_named_like_a_list_is_no_list(tmp_path):
    named = (STUDY.variants[0], Variant("+ Mixup", {}, "guided", ("none",)))
    text = markdown(replace(STUDY, variants=named, reported=()), {**MEASURED, "+ Mixup": MEASURED["more"]}, {})
    assert "\n- \\+ Mixup against none" in text


def test_a_single_seed_has_neither_differences_nor_a_verdict():
    text = markdown(replace(STUDY, seeds=(1,)), MEASURED, {})
    assert "Measured, seed 1" in text and "In words" not in text and "Paired" not in text


def test_differences_are_told_for_every_metric_against_each_variants_own():
    chain = (*STUDY.variants, Variant("most", {}, "guided", ("more",)))
    found = differences(replace(STUDY, variants=chain), {**MEASURED, "most": MEASURED["more"]})
    assert [row["difference"] for row in found] == ["more less none", "most less more"]
    assert found[0]["FID"] == "+1.0 ± 0.0" and found[1]["few-shot accuracy, points"] == "+0.0 ± 0.0"


def test_a_variant_can_be_compared_with_several():
    both = Variant("most", {}, "guided", ("none", "more"))
    study, measured = replace(STUDY, variants=(*STUDY.variants, both)), {**MEASURED, "most": MEASURED["more"]}
    names = [row["difference"] for row in differences(study, measured)]
    assert names == ["more less none", "most less none", "most less more"]
    assert [line.partition(":")[0] for line in verdict(study, measured)] == [
        "more against none", "most against none", "most against more",
    ]  # fmt: skip


def test_rows_of_older_code_say_so_on_the_page_and_in_the_csv(tmp_path):
    older, today = Origin(("1234567",), older=True, protocol=1), Origin(("1234567", "89abcde"))
    assert "# Title\n\nRows of older code, under protocol 1: commit 1234567, not current.\n" in markdown(
        STUDY, MEASURED, {}, (), older
    )
    assert "# Title\n\nMade by the code of commits 1234567, 89abcde, under protocol 2.\n" in markdown(
        STUDY, MEASURED, {}, (), today
    )
    changed = Origin(("1234567",), changed=True)
    assert "it has changed since, the default run's outputs have not.\n" in markdown(STUDY, MEASURED, {}, (), changed)
    for origin, commits in ((older, "1234567"), (today, None), (changed, None), (Origin(), None)):
        write_csv(tmp_path / "x.csv", rows(STUDY, {"none": MEASURED["none"]}, origin))
        content = (tmp_path / "x.csv").read_bytes()
        assert older_commits(content) == commits and origin_of(content, {"1234567": origin.protocol}) == origin
        assert read_rows(content)["none"] == MEASURED["none"]


def test_rows_of_one_code_are_todays_or_else_those_of_which_there_are_most():
    table = {k: {"code": code, "protocol": 2, "commit": f"{code}0000000"} for k, code in enumerate("abbc")}
    assert of_one_code({0: {"code": "a", "commit": "a0000000"}}, "a")[1].protocol == 1
    assert of_one_code(table, "c") == ({3: table[3]}, Origin(("c000000",)))
    assert of_one_code(table, "d") == ({1: table[1], 2: table[2]}, Origin(("b000000",), older=True))
    assert of_one_code({}, "d") == ({}, Origin())
    together = {0: table[0], 1: {**table[1], "code": "b"}}
    assert of_one_code(together, "a", {"b"}) == (together, Origin(("a000000", "b000000"), changed=True))


def test_accuracies_of_the_validation_split_are_called_that():
    assert "; accuracies on the validation split" in markdown(replace(STUDY, split="val"), MEASURED, {})
    assert "; accuracies on the test split" in markdown(STUDY, MEASURED, {})
