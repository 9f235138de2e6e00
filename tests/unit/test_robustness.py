"""The same question in other words, and how often the artifact's choice stays."""

from __future__ import annotations

from personalization.evaluation.robustness import PARAPHRASES, paraphrased, robustness
from personalization.models.interventions import Interventions, Row
from personalization.models.preference import score
from personalization.records import Message, Pair
from tests import tiny

PAIRS = [
    Pair(f"chat-{i}", (), (Message("user", f"Question {i}?"),), f"YES {i}!", f"no, {i}") for i in range(5)
]


def test_only_the_last_message_is_asked_in_another_way():
    talk = (Message("user", "Hello"), Message("assistant", "Hi"), Message("user", "Why is it dark?"))
    pair = Pair("a", (), talk, "yes", "no")
    asked = {paraphrased(pair, way).prompt[-1].content for way in PARAPHRASES}
    assert asked == {
        "I have a question. Why is it dark?",
        "Why is it dark? Thank you for your help.",
        "why is it dark",
    }
    assert all(paraphrased(pair, way).prompt[:-1] == talk[:-1] for way in PARAPHRASES)


def found_with(row: Row) -> float:
    base = tiny.base()
    interventions = Interventions(base)
    try:
        plain, own = (
            score(base, interventions, PAIRS, row=acting, system_message="") for acting in (Row(), row)
        )
        usual = own.implicit_reward(plain)
        return robustness(base, interventions, PAIRS, row, system_message="", seed=0, usual=usual).value
    finally:
        interventions.remove()


def test_nothing_that_acts_always_says_the_same_and_noise_does_not():
    assert found_with(Row()) == 1.0  # a tie each time
    shares = [found_with(Row(vectors=((tiny.vectors(seed=seed, size=4.0), 1.0),))) for seed in range(4)]
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert min(shares) < 1.0
