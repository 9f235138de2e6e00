"""Each measure of a value puts the text that shows it above the text that does not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.errors import UnknownName
from personalization.values import prompts
from personalization.values.measures import measure_of, measures
from personalization.values.taxonomy import values

DRY = "The shoes are dried in the room. The process is finished within eight hours of being started."
MUCH = (
    "Leather is a porous material. Water enters it slowly and leaves it slowly, which stiffens the fibres. "
    "Newspaper takes the water up without heat. A radiator cracks the surface within two winters."
)

# value: (a text that shows it, one on the same subject that does not)
SHOWN = {
    "style.brief": ("Stuff them with paper.", MUCH),
    "style.very-short": ("Stuff them with paper.", MUCH),
    "style.long": (MUCH, "Stuff them with paper."),
    "informativeness.thorough": (MUCH, "Dry the shoes. Dry the shoes well. Then dry the shoes again."),
    "style.plain-words": ("Put a dry rag in the shoe and wait a day.", MUCH),
    "style.short-sentences": (
        "Take a rag. Dry the shoe. Wait a day.",
        "Take a rag, dry the shoe, wait a day.",
    ),
    "style.literary": (MUCH, "Take a rag. Dry the shoe. Wait a day."),
    "background.for-a-child": ("The shoe is wet. The sun is hot. It gets dry.", MUCH),
    "background.jargon-welcome": (
        "Hydrophobic impregnation diminishes capillary absorption of leather.",
        "Wax keeps the rain out of your shoes.",
    ),
    "style.precise": (
        "Two pairs dry in nine hours beside a stove.",
        "Many things of various kinds dry in very many ways, more or less.",
    ),
    "style.active-voice": ("You dry your shoes in the room, and you brush them.", DRY),
    "style.lists": ("Do this:\n- stuff them\n- wait\n- brush", "Stuff them, wait, and brush them."),
    "style.flowing-text": ("Stuff them, wait, and brush them.", "Do this:\n- stuff them\n- wait\n- brush"),
    "style.headings": ("## Drying\nUse paper.\n\n## Care\nUse wax.", "To dry them use paper, then use wax."),
    "style.warm": ("I hope you enjoy this, dear friend! Thank you for asking!", DRY),
    "style.sober": (DRY, "What a wonderful, warm, golden day! Enjoy it, my lovely friend!"),
    "style.formal": (
        "Furthermore, the procedure requires an appropriate material, which ensures adequate results.",
        "Hey, you're gonna love this, it's super cool stuff!",
    ),
    "style.casual": ("Hey, you're gonna love this, it's super cool stuff!", DRY),
    "style.praise": ("Great question! That is an excellent, brilliant idea.", DRY),
    "style.vivid": ("The golden light glows, the wind whispers over dark, fragrant grass.", DRY),
    "style.stories": (
        "Once she went out in the rain. She said that her shoes were wet.",
        "Paper dries a shoe.",
    ),
    "style.ask-back": ("What are they made of? How wet are they?", DRY),
    "style.confident": ("It will always work, certainly.", "It might perhaps work, it usually seems to."),
    "harmlessness.say-unsure": ("It might perhaps work, I'm not sure.", "It will always work, certainly."),
    "harmlessness.warn-of-risks": ("Never use a stove: that is dangerous. Be careful with heat.", DRY),
    "harmlessness.several-sides": ("Some like paper, others rice; however, both have drawbacks.", DRY),
    "informativeness.examples": ("Use something dry, for example rice, or grains such as oats.", DRY),
    "informativeness.many-details": ("In 1968 the Swede Olof Berg sold 4,000 of them in Malmö.", DRY),
    "informativeness.step-by-step": ("First take paper. Next fill the shoe. Finally brush it.", DRY),
    "informativeness.causes": ("It dries because air moves; the reason is pressure.", DRY),
    "informativeness.long-view": ("Over time the leather will become hard, and years later it cracks.", DRY),
    "informativeness.alternatives": ("Use paper or rice; another option is a fan instead.", DRY),
    "informativeness.no-repetition": (MUCH, "Dry the shoes. Dry the shoes well. Then dry the shoes again."),
    "background.history": ("In the 19th century, long ago, wax was invented; before 1850 it was rare.", DRY),
    "background.everyday-focus": ("At home, in the kitchen, your family has rice every day.", DRY),
}


def test_every_measure_belongs_to_a_value_and_has_a_case_here():
    assert set(measures()) <= set(values())
    assert set(measures()) == set(SHOWN)


@pytest.mark.parametrize("key", sorted(SHOWN))
def test_the_text_that_shows_a_value_has_more_of_it(key):
    shows, lacks = SHOWN[key]
    assert measure_of(key)(shows) > measure_of(key)(lacks)


@pytest.mark.parametrize("key", sorted(SHOWN))
@given(text=st.text())
def test_any_text_has_a_finite_number(key, text):
    assert math.isfinite(measure_of(key)(text))


def test_a_rate_does_not_grow_with_length():
    once = "You dry your shoes with paper and then you brush them with a soft brush. "
    assert measure_of("style.active-voice")(once) == pytest.approx(measure_of("style.active-voice")(once * 3))


def test_values_without_a_measure_say_so():
    with pytest.raises(UnknownName):
        measure_of("style.humour")


def test_the_three_sets_of_prompts_have_nothing_in_common():
    every = [*prompts.POOL, *prompts.CHOICE, *prompts.REPORT]
    assert len(every) == len(set(every))
