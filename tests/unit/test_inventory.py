"""The inventory against three keys and the published program: `FFM`, `five-factor-e`, PAPI's item key."""

import csv
import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipipneo import IpipNeo

from personalization.inventory.importing import parse
from personalization.inventory.items import DOMAINS, facets, items, page
from personalization.inventory.meaning import meanings
from personalization.inventory.scoring import score

DATA = Path(os.environ.get("ALIGN_DATA", Path(__file__).parents[2].parent / "shared/data")) / "papi"
needs_data = pytest.mark.skipif(
    not DATA.exists(), reason=f"{DATA} is absent; set ALIGN_DATA to the data folder"
)
NAMES = {
    "N": "neuroticism",
    "E": "extraversion",
    "O": "openness",
    "A": "agreeableness",
    "C": "conscientiousness",
}
full = st.lists(st.integers(1, 5), min_size=120, max_size=120).map(lambda v: dict(enumerate(v, start=1)))
some = st.dictionaries(st.integers(1, 120), st.integers(1, 5))


def from_package(answers: dict[int, int], sex: str, age: int) -> dict[str, tuple[float, list[float]]]:
    """Percentiles of each domain and its facets as the package computes them."""
    sent = {"answers": [{"id_question": n, "id_select": v} for n, v in sorted(answers.items())]}
    result = IpipNeo(question=120).compute(sex=sex, age=age, answers=sent)
    by_name = {name: entry for p in result["person"]["result"]["personalities"] for name, entry in p.items()}
    found = {}
    for domain, name in NAMES.items():
        traits = [
            next(v for k, v in t.items() if k not in ("trait", "score")) for t in by_name[name]["traits"]
        ]
        found[domain] = (min(by_name[name][domain], 99), [min(trait, 99) for trait in traits])
    return found


@pytest.mark.parametrize("sex", ["M", "F", "N"])
@pytest.mark.parametrize("age", [18, 20, 21, 40, 41, 60, 61, 90])
def test_percentiles_agree_with_five_factor_e_in_every_norm_group(sex, age):
    rng = random.Random(f"{sex}{age}")
    for _ in range(5):
        answers = {n: rng.randint(1, 5) for n in range(1, 121)}
        ours, theirs = score(answers, sex=sex, age=age), from_package(answers, sex, age)
        for domain in DOMAINS:
            assert ours.domains[domain].percentile == pytest.approx(theirs[domain][0], abs=0.051)
            mine = [ours.facets[f"{domain}{n}"].percentile for n in range(1, 7)]
            assert mine == pytest.approx(theirs[domain][1], abs=0.051)


def test_there_are_four_items_in_each_of_thirty_facets_and_twelve_pages_of_ten():
    assert [sum(i.facet == key for i in items()) for key in facets()] == [4] * 30
    assert [i.number for n in range(1, 13) for i in page(n)] == list(range(1, 121))
    assert all(item.text.startswith("I ") and item.text.endswith(".") for item in items())
    assert sum(item.sign < 0 for item in items()) == 55


def test_agreeing_with_everything_scores_each_item_by_its_direction():
    every = score(dict.fromkeys(range(1, 121), 5))
    plus = sum(5 if item.sign > 0 else 1 for item in items() if item.domain == "N")
    assert every.domains["N"].raw == plus


@given(full)
def test_turning_every_answer_round_mirrors_raw_scores(answers):
    there, back = score(answers), score({n: 6 - v for n, v in answers.items()})
    for key in facets():
        assert there.facets[key].raw + back.facets[key].raw == 24


@given(some)
def test_a_scale_is_scored_when_three_quarters_of_it_are_answered(answers):
    scores = score(answers)
    for key, scale in {**scores.domains, **scores.facets}.items():
        given_ = sum(i.facet.startswith(key) for i in items() if i.number in answers)
        assert scale.answered == given_
        assert (scale.t is not None) == (given_ >= 0.75 * scale.asked) == (scale.level is not None)
        assert scale.raw is None or scale.asked <= scale.raw <= 5 * scale.asked
        assert scale.percentile is None or 1 <= scale.percentile <= 99


def test_a_missing_answer_is_prorated_from_the_others_of_its_scale():
    answers = {item.number: item.keyed(4) for item in items()}
    del answers[1]
    assert score(answers).facets["N1"].raw == 16


def test_without_an_age_all_age_bands_count_alike():
    answers = dict.fromkeys(range(1, 121), 3)
    assert score(answers, sex="F").domains["C"].t != score(answers, sex="F", age=30).domains["C"].t
    assert score(answers, sex="N").age is None


@pytest.mark.parametrize(
    ("answers", "group"),
    [({121: 1}, {}), ({1: 6}, {}), ({1: 0}, {}), ({}, {"sex": "X"}), ({}, {"age": 9}), ({}, {"age": 111})],
)
def test_impossible_answers_and_groups_are_refused(answers, group):
    with pytest.raises(ValueError, match=r".+"):
        score(answers, **group)


def test_every_scale_has_words_for_every_level():
    assert set(meanings()) == {*DOMAINS, *facets()}
    assert all(m.label and m.of("low") and m.of("average") and m.of("high") for m in meanings().values())


def test_two_columns_are_read_and_bad_lines_are_named():
    found = parse("item,value\n1,5\n2,\n3,7\nx,1\n1,2\n121,3\n4,2,9\n120,1\n")
    assert found.answers == {1: 5, 120: 1}
    assert [error.line for error in found.errors] == [4, 5, 6, 7, 8]
    assert "“7”" in found.errors[0].problem


def test_one_line_of_120_values_is_read_with_and_without_a_header():
    values = [str(n % 5 + 1) for n in range(1, 121)]
    wanted = {n: n % 5 + 1 for n in range(1, 121)}
    assert parse(",".join(values)).answers == wanted
    head = ",".join(f"i{n}" for n in range(120, 0, -1))
    assert parse(f"{head}\n{','.join(reversed(values))}").answers == wanted
    assert parse("1,2,3").errors[0].problem == "120 columns are needed; here are 3."


def test_keyed_answers_are_turned_back_to_agreement_as_worded():
    assert parse("1,5\n51,5", keyed=True).answers == {1: 5, 51: 1}


@given(st.text(max_size=400))
def test_no_file_breaks_the_import(text):
    found = parse(text)
    assert all(1 <= n <= 120 and 1 <= v <= 5 for n, v in found.answers.items())


@pytest.mark.data
@needs_data
def test_texts_and_keys_agree_with_the_published_item_key():
    rows = list(csv.DictReader((DATA / "item_key.csv").read_text().splitlines()))
    by_number = {int(row["number_120"]): row for row in rows if row["number_120"] not in ("", "0")}
    differ = []
    for item in items():
        row = by_number[item.number]
        assert (item.facet, item.sign) == (row["facet_key"], 1 if row["sign"] == "+" else -1)
        words = item.text.removeprefix("I ").removeprefix("am ").lower()
        if words != row["text"].removeprefix("Am ").lower():
            differ.append(item.number)
    assert differ == [58]  # "no absolute right and wrong" here, "right or wrong" there


@pytest.mark.data
@needs_data
def test_real_people_lie_around_the_norms_when_their_keyed_answers_are_turned_back():
    """Johnson's answers are stored keyed; read as agreement their T scores would leave the norms."""
    key = list(csv.DictReader((DATA / "item_key.csv").read_text().splitlines()))
    number_of = {int(r["number"]): int(r["number_120"]) for r in key if r["number_120"] not in ("", "0")}
    by_number = {item.number: item for item in items()}
    sums = dict.fromkeys(DOMAINS, 0.0)
    people = json.loads((DATA / "subjects.json").read_text())
    for person in people:
        keyed = {n: person[f"i{full}"] for full, n in number_of.items() if person[f"i{full}"]}
        answers = {n: by_number[n].keyed(v) for n, v in keyed.items()}
        scores = score(answers, sex="M" if person["sex"] == 1 else "F", age=person["age"])
        for domain in DOMAINS:
            sums[domain] += scores.domains[domain].t
    assert {d: total / len(people) for d, total in sums.items()} == pytest.approx(
        dict.fromkeys(DOMAINS, 50), abs=4
    )
