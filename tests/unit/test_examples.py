"""Each kind of feedback becomes what a loss of that kind reads, and is trained on like pairs are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from personalization import registry
from personalization.errors import NotEnoughData
from personalization.models.logprobs import Completions, completion_logps
from personalization.records import Edit, Message, Pair, RatedGroup, Records, Thumb
from personalization.training.encoded import Encoded
from personalization.training.examples import Example, examples_of, learned_from, pair_examples
from personalization.training.lora import Adapter
from personalization.training.matching import LEAST, MOST, matching_weights, probability_of_liked
from personalization.training.settings import TrainingSettings
from personalization.training.train import Lesson, TrainingResult, train_together
from tests import tiny
from tests.weights import gap

SETTINGS = TrainingSettings(
    rank=2, alpha=4, learning_rate=3e-3, epochs=2, pairs_per_batch=2, checkpoint_steps=1, replay=1.0
)
ADAPTERS = [m for m in registry.all_methods() if m.produces == "adapter"]


def about(i: int) -> dict:
    return {
        "conversation": f"chat-{i}",
        "sources": (f"row-{i}",),
        "prompt": (Message("user", f"Question {i}?"),),
    }


def records(count: int = 4) -> Records:
    """Return somebody who likes it loud, in every kind of feedback."""
    many = range(count)
    return Records(
        pairs=tuple(Pair(**about(i), chosen=f"YES {i}!", rejected=f"no {i}, never") for i in many),
        thumbs=tuple(
            Thumb(**about(i), completion=f"YES {i}!" if i % 2 else f"no {i}", desirable=bool(i % 2))
            for i in many
        ),
        groups=tuple(
            RatedGroup(**about(i), completions=("YES!", "well", f"no {i}"), scores=(90, 50, 20 + i))
            for i in many
        ),
        edits=tuple(Edit(**about(i), original=f"no {i}", edited=f"YES {i}!") for i in many),
        revised=tuple(Pair(**about(i), chosen=f"YES, YES {i}!", rejected=f"no {i}") for i in many),
    )


def examples(data: str, given: Records, message: str = "Be loud."):
    return examples_of(given, data, system_message=message, settings=SETTINGS)


def test_a_thumb_stands_beside_an_answer_to_another_message():
    made = examples("thumbs", records(3))
    assert [e.wanted for e in made] == [(-1.0, 0.0), (1.0, 0.0), (-1.0, 0.0)]
    for i, example in enumerate(made):
        (prompt, own), (same_prompt, strange) = example.answers
        assert prompt == same_prompt == (Message("system", "Be loud."), Message("user", f"Question {i}?"))
        assert strange == made[(i + 1) % 3].answers[0][1] != own
    assert examples("thumbs", records(1))[0].wanted == (-1.0,)  # there is no other message


def test_ratings_are_centred_and_ties_left_out():
    one = RatedGroup(**about(0), completions=("a", "b", "c"), scores=(80, 50, 20))
    tied = replace(one, conversation="chat-1", scores=(5, 5, 5))
    (made,) = examples("ratings", Records(groups=(one, tied)))
    assert made.wanted == pytest.approx((1.5**0.5, 0, -(1.5**0.5)))


def test_what_words_taught_stands_beside_the_comparisons_and_is_not_learned_without():
    made = examples("critiques", records())
    assert made[:4] == pair_examples(records().revised, (Message("system", "Be loud."),))
    assert made[4:] == examples("pairs", records())
    with pytest.raises(NotEnoughData, match="no critique"):
        examples("critiques", replace(records(), revised=()))


def choices(*told: str) -> list[float]:
    """Return how much each of a, b, c ... is wanted after comparisons like "a>b"."""
    pairs = tuple(Pair(**about(0), chosen=one[0], rejected=one[2]) for one in told)
    (made,) = examples("choices", Records(pairs=pairs))
    wanted = {text: want for (_, text), want in zip(made.answers, made.wanted, strict=True)}
    return [wanted[text] for text in sorted(wanted)]


def test_choices_in_a_circle_want_nothing_and_those_of_an_order_its_order():
    assert choices("a>b", "b>c", "c>a") == pytest.approx([0, 0, 0], abs=1e-3)
    best, middle, worst = choices("a>b", "b>c", "a>c")
    assert 1 > best > 0.3 > abs(middle) >= 0
    assert -1 < worst < -0.3
    # d loses to each of a circle: it sinks, and the circle rises as one.
    *circle, last = choices("a>b", "b>c", "c>a", "a>d", "b>d", "c>d")
    assert last < -0.5
    assert circle == pytest.approx([-last / 3] * 3, abs=0.05)


@given(st.lists(st.sampled_from(["a>b", "b>a", "b>c", "c>b", "a>c", "c>a", "d>a", "a>d"]), min_size=1))
@settings(max_examples=20, deadline=None)
def test_what_is_wanted_of_a_messages_answers_adds_up_to_nothing(told):
    wanted = choices(*told)
    assert sum(wanted) == pytest.approx(0, abs=1e-6)
    assert all(-1 < one < 1 for one in wanted)


def test_mine_is_told_from_somebody_elses_by_the_system_message_alone():
    for example in examples("contrasts", records()):
        (mine, text), (other, same) = example.answers
        assert text == same
        assert mine[0] == Message("system", "Be loud.")
        assert other[0].role == "system" != other[0].content
        assert mine[1:] == other[1:] != ()
        assert mine != other
    with pytest.raises(NotEnoughData, match="State your values first"):
        examples("contrasts", records(), message="")


@pytest.mark.parametrize("data", sorted({m.data for m in ADAPTERS}))
def test_nothing_of_a_kind_is_said(data):
    with pytest.raises(NotEnoughData, match=r"There is no .* (to learn from|rated differently)\."):
        examples(data, Records())
    assert learned_from(Records(), data) == ()
    assert len(learned_from(records(), data)) == 4


@settings(max_examples=20)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), at=st.randoms(use_true_random=False))
def test_every_answer_is_read_as_it_would_be_alone(sizes, at):
    """Whatever shapes examples have, and in whatever order they are taken."""
    base = tiny.base()
    made = [
        Example(
            tuple((about(i)["prompt"], f"{'ab' * (j + i)}.") for j in range(size)),
            tuple(map(float, range(size))),
        )
        for i, size in enumerate(sizes)
    ]
    encoded = Encoded(base, made)
    order = at.sample(range(len(sizes)), at.randint(1, len(sizes)))
    with torch.no_grad():
        found = encoded.logps(base, order)
        alone = [answer for i in order for answer in made[i].answers]
        sums, counts = completion_logps(base, Completions.encode(base, alone))
    torch.testing.assert_close(found.sums, sums, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(found.tokens, counts)
    assert found.wanted.tolist() == [float(j) for i in order for j in range(sizes[i])]
    assert found.group.tolist() == [place for place, i in enumerate(order) for _ in range(sizes[i])]
    steps = encoded.batches(SETTINGS, seed=1)
    assert sorted(i for step in steps for i in step) == sorted(2 * list(range(len(sizes))))
    assert all(sum(sizes[i] for i in step) <= 2 * SETTINGS.pairs_per_batch for step in steps)


EACH = (
    "orpo",
    "kto",
    "bco",
    "plackett_luce",
    "sft",
    "poft",
    "cca",
    "ilf",
    "gpm",
    "accelerated",
    "meet",
    "nash_md",
)


@pytest.mark.parametrize("name", EACH)
def test_each_kind_trains_people_together_as_alone_and_goes_on_from_where_it_stopped(tmp_path, name):
    method = registry.get(name)

    def lesson(name: str, count: int, **more) -> Lesson:
        folder = tmp_path / name
        return Lesson(
            records(count), method, folder / "out", folder / "checkpoints", system_message="Be loud.",
            settings=SETTINGS, judge=lambda _prompt, texts: [float(len(text)) for text in texts], **more,
        )  # fmt: skip

    together = [lesson("anna", 3, seed=1), lesson("bert", 4, seed=2)]
    found = train_together(tiny.base(), together)
    assert all(isinstance(one, TrainingResult) for one in found), found
    assert method.draws or found[0].metrics["chosen_change"] > 0  # of few drawn answers it is chance

    def stop(progress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_together(tiny.base(), [lesson("alone", 3, seed=1, report=stop)])
    alone = lesson("alone", 3, seed=1)
    train_together(tiny.base(), [alone])
    mine, theirs = (load_file(one.out / "adapter_model.safetensors") for one in (alone, together[0]))
    assert gap(mine, theirs) < 1e-5


def test_matching_weighs_disliked_answers_by_what_was_asked():
    asked = ["How do I cook rice?"] * 6 + ["What is a black hole?"] * 6
    liked = [True] * 5 + [False] + [True] + [False] * 5
    weights = matching_weights(asked, liked)
    assert [w for w, up in zip(weights, liked, strict=True) if up] == [1.0] * 6
    assert weights[5] > 1 > weights[-1]  # the one where most are liked, the one where most are not
    assert all(LEAST <= w <= MOST for w in weights)
    assert matching_weights(asked, [True] * 12) == [1.0] * 12
    assert matching_weights([], []) == []


def test_the_probability_is_the_minimum_of_the_balanced_logistic_loss():
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(14, 4, generator=generator, dtype=torch.double)
    liked = torch.tensor([True] * 4 + [False] * 10)
    found = torch.logit(probability_of_liked(vectors, liked))
    # The logits are linear in the rows; at the minimum the penalised loss's gradient is 0.
    design = torch.cat([vectors, torch.ones(14, 1, dtype=torch.double)], dim=1)
    solution = torch.linalg.lstsq(design, found[:, None]).solution[:, 0]
    torch.testing.assert_close(design @ solution, found)
    balance = torch.where(liked, 14 / 8, 14 / 20).double()
    slope = design.T @ (balance * (torch.sigmoid(found) - liked.double()))
    slope[:-1] += solution[:-1]
    assert slope.abs().max() < 1e-6


def test_an_adapter_is_asked_for_probes_of_both_signs():
    base = tiny.base()
    assert Encoded(base, examples("pairs", records())).probed(2) == [0, 1]
    assert Encoded(base, examples("thumbs", records())).probed(2) == [1, 0]
    assert Encoded(base, examples("edits", records())).probed(2) == []
    assert Adapter(base, SETTINGS, seed=0).parameters
