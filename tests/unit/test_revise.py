"""What is said of an answer becomes pairs, and nothing does that the person's comparisons contradict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.errors import Cancelled
from personalization.models.reactions import follow_up_rewards
from personalization.records import Critique, Message, Pair
from personalization.steering.judge import judge_of
from personalization.training.revise import AGREED, DRAFTS, Said, language_pairs, pair_of, whole
from tests import tiny


def said(text: str, conversation: str = "chat", answer: str = "It rains a lot.") -> Critique:
    return Critique(
        conversation, (f"row of {conversation}",), (Message("user", "Why is it wet?"),), answer, text
    )


def by_length(_prompt, texts) -> list[float]:
    return [-float(len(text)) for text in texts]


def test_a_complaint_prefers_a_revision_praise_the_answer_and_going_on_either():
    base, own, drafts = tiny.base(), said("Too long."), ["Rain.", "", "Rain.", "Much water.", "x" * 40]
    complained = pair_of(base, Said(own, -1, asked=True), drafts, by_length)
    assert (complained.chosen, complained.rejected) == ("Rain.", own.completion)
    assert complained.protocol == "revised-after-critique"
    praised = pair_of(base, Said(own, 1, asked=False), drafts, by_length)
    assert (praised.chosen, praised.rejected) == (own.completion, "x" * 40)
    assert praised.protocol == "mined-from-follow-up"
    # Where neither was said, the likelier reactions choose, and the judge may only refuse.
    rewards = follow_up_rewards(base, own.prompt, [own.completion, "Rain."])
    neither = pair_of(base, Said(own, 0, asked=False), ["Rain."], by_length)
    assert (neither is not None) == (rewards[1] > rewards[0])
    assert (complained.conversation, complained.sources) == (own.conversation, own.sources)
    assert pair_of(base, Said(own, -1, asked=True), ["", own.completion], by_length) is None
    assert pair_of(base, Said(own, -1, asked=True), ["x" * 40], by_length) is None


def test_the_model_sees_what_was_said_and_what_it_said_of_it():
    *_, mended, added = Said(said("Shorter!"), -1, asked=True).chats()
    assert [m.role for m in mended] == ["user", "assistant", "user"]
    assert mended[1].content == "It rains a lot."
    assert mended[2].content.startswith("Shorter!")
    assert [m.content for m in added] == ["Why is it wet?\n\nShorter!"]
    assert Said(said("Great."), 1, asked=False).chats() == [said("").prompt] * DRAFTS


def test_only_what_the_judge_agrees_with_is_kept_and_the_same_seed_gives_the_same():
    base, critiques = tiny.base(), [said("Too long.", f"chat-{i}") for i in range(3)]
    follow_ups = [said("Great, thanks!", "chat-9")]
    found = language_pairs(base, critiques, follow_ups, by_length, seed=3)
    assert found == language_pairs(base, critiques, follow_ups, by_length, seed=3)
    for pair in found:
        assert len(pair.chosen) < len(pair.rejected)
        assert said("").completion == (pair.chosen if pair.conversation == "chat-9" else pair.rejected)
    assert language_pairs(base, critiques, follow_ups, lambda _prompt, texts: [0.0] * len(texts)) == ()
    assert language_pairs(base, [], [], by_length) == ()


def test_an_answer_that_leaves_the_question_is_not_preferred_whatever_the_judge_says():
    own = Critique(
        "c", (), (Message("user", "How do I bake bread?"),), "Mix flour, water and yeast, and bake.", "No"
    )
    on, off = "To bake bread, mix flour and yeast.", "The moon is far."
    assert pair_of(tiny.base(), Said(own, -1, asked=True), [off], by_length) is None
    assert pair_of(tiny.base(), Said(own, -1, asked=True), [off, on], by_length).chosen == on


def test_whoever_listens_can_stop_it():
    def stop(_progress) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        language_pairs(tiny.base(), [said("No.")], [], by_length, report=stop)


@given(st.text("ab .!?\n", max_size=30))
def test_a_draft_that_was_cut_off_ends_with_its_last_whole_sentence(text):
    found = whole(text)
    assert text.startswith(found) or text.strip().startswith(found)
    assert found in (text, "") or found[-1] in ".!?b a"


def pairs(likes: str, dislikes: str, count: int = 10) -> list[Pair]:
    return [
        Pair(f"chat-{i}", (), (Message("user", f"Question {i}?"),), f"{likes} {i}", f"{dislikes} {i}")
        for i in range(count)
    ]


def test_comparisons_judge_new_answers_and_those_without_any_taste_judge_none():
    base = tiny.base()
    judge = judge_of(base, pairs("YES YES!", "no, never"))
    assert judge is not None
    new = (Message("user", "Something new?"),)
    good, bad, same = judge(new, ["YES YES! 77", "no, never 77", "YES YES! 77"])
    assert good == pytest.approx(same, abs=1e-4)
    assert good - bad > AGREED
    undecided = [*pairs("YES YES!", "no, never", 5), *pairs("no, never", "YES YES!", 10)[5:]]
    assert judge_of(base, undecided) is None
    assert judge_of(base, []) is None
