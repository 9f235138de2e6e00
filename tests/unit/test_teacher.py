"""An adapter's teacher and its replay: what the vector does in answers is learned, plain text stays."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch.nn import functional

from personalization import registry
from personalization.models.interventions import Interventions, Row
from personalization.models.logprobs import Completions, batch_logps, completion_logps, decoded
from personalization.models.personal import SteeringVectors, load_adapter
from personalization.records import Message, Pair, Records
from personalization.steering.capture import mean_states
from personalization.steering.instant import Sums, layers_of
from personalization.steering.taste import AS_TEACHER, MOST_PROMPTS, taste_of
from personalization.training.replay import EACH_STEP, TEXTS, TOKENS, Replay
from personalization.training.settings import TrainingSettings
from personalization.training.teacher import Teacher
from personalization.training.train import train_adapter
from personalization.training.trunk import decoded_above
from tests import tiny

SETTINGS = TrainingSettings(rank=4, alpha=8, learning_rate=5e-3, epochs=6, pairs_per_batch=2)
RATINGS = {"a cat": 90, "two dogs!": 40, "three small birds": 10, "no": 55}


def question(number: int) -> tuple[Message, ...]:
    return (Message("user", f"Question {number}?"),)


def rated_pairs(count: int) -> list[Pair]:
    """Return every pair of the ratings, which differ a little from prompt to prompt."""
    return [
        Pair(f"chat-{i}", (f"row-{i}",), question(i), better, worse, (high - low) / 100)
        for i in range(count)
        for one, other in combinations({t: s + i for t, s in RATINGS.items()}.items(), 2)
        for (better, high), (worse, low) in [sorted([one, other], key=lambda entry: -entry[1])]
    ]


def rated_records(count: int) -> Records:
    return Records(pairs=tuple(rated_pairs(count)))


def vectors() -> SteeringVectors:
    generator = torch.Generator().manual_seed(3)
    return SteeringVectors({(1, "output"): 4 * torch.randn(tiny.HIDDEN, generator=generator)})


def test_the_vector_of_all_pairs_is_the_vector_of_the_ratings(tmp_path):
    base = tiny.base()
    layers = layers_of(len(base.layers))
    sums = Sums(layers)
    for i in range(5):
        texts = [(question(i), text) for text in RATINGS]
        states = mean_states(base, Completions.encode(base, texts))[:, list(layers)].numpy()
        sums.put(str(i), states, [score + i for score in RATINGS.values()])
    wanted = sums.direction()
    found = taste_of(base, rated_pairs(5), tmp_path)
    assert wanted is not None
    assert found is not None
    assert [layer for layer, _ in found.sites] == list(wanted.layers)
    for vector, own in zip(found.sites.values(), wanted.vectors, strict=True):
        # Batches of other shapes round otherwise; agreement sees the scale of the ratings, the units do not.
        assert torch.allclose(vector / AS_TEACHER, torch.from_numpy(own), atol=1e-4 * float(vector.norm()))


def test_pairs_that_say_nothing_have_no_vector_and_old_prompts_fade(tmp_path):
    base = tiny.base()
    assert taste_of(base, [], tmp_path) is None
    against = [replace(p, chosen=p.rejected, rejected=p.chosen) for p in rated_pairs(1)]
    assert taste_of(base, rated_pairs(1) + against, tmp_path) is None
    few, many = rated_pairs(MOST_PROMPTS), rated_pairs(MOST_PROMPTS + 2)
    last = many[len(many) - len(few) :]
    both = [taste_of(base, pairs, tmp_path) for pairs in (many, last)]
    assert all(torch.equal(a, b) for a, b in zip(both[0].sites.values(), both[1].sites.values(), strict=True))


def test_the_distance_to_a_teacher_is_the_divergence_of_its_distributions():
    base, texts = (
        tiny.base(),
        Completions.encode(tiny.base(), [(question(i), "so " * (i + 1)) for i in range(3)]),
    )
    teacher = Teacher.of(base, texts, vectors())
    sums, apart = batch_logps(base, texts, decoded(base, texts), teacher.of_entries(range(3)))
    assert torch.allclose(sums, completion_logps(base, texts)[0], atol=1e-4)
    total, tokens, interventions = 0.0, 0, Interventions(base)
    for prompt, answer in zip(texts.prompts, texts.answers, strict=True):
        ids, places = (
            torch.tensor([[*prompt, *answer]]),
            slice(len(prompt) - 1, len(prompt) + len(answer) - 1),
        )
        plain = base.model(input_ids=ids).logits[0, places].double().log_softmax(-1)
        with interventions.everywhere(Row(vectors=((vectors(), 1.0),))):
            steered = base.model(input_ids=ids).logits[0, places].double().log_softmax(-1)
        total += (steered.exp() * (steered - plain)).sum().item()
        tokens += len(answer)
    interventions.remove()
    assert total / tokens > 0.01  # the vector does something here
    assert apart.item() == pytest.approx(total / tokens, rel=1e-3)


def trained(folder, *, teacher: SteeringVectors | None = None, **changed):
    dpo = registry.get("dpo")
    result = train_adapter(
        tiny.base(), rated_records(4), dpo, parameters=dpo.resolve({}), system_message="", out=folder / "out",
        checkpoints=folder / "checkpoints", teacher=teacher, seed=1, settings=replace(SETTINGS, **changed),
    )  # fmt: skip
    return result, load_adapter(folder / "out")


def test_an_adapter_comes_closer_to_its_teacher_on_answers_that_it_has_not_seen(tmp_path):
    base = tiny.base()
    texts = Completions.encode(base, [(question(90 + i), "a new answer") for i in range(4)])
    teacher, interventions = Teacher.of(base, texts, vectors()), Interventions(base)
    apart = []
    for folder, given in (("alone", None), ("taught", vectors())):
        result, weights = trained(tmp_path / folder, teacher=given)
        assert result.taught is (given is not None)
        with interventions.everywhere(Row(adapters=((weights, 1.0),))):
            apart.append(
                batch_logps(base, texts, decoded(base, texts), teacher.of_entries(range(4)))[1].item()
            )
    interventions.remove()
    assert apart[1] < 0.7 * apart[0]


def drift_of(replay: Replay, step: int) -> float:
    hidden = decoded_above(tiny.base(), replay.below(step), replay.first)
    return replay.divergence(tiny.base(), step, hidden).item()


def test_replay_keeps_plain_text_nearer_to_the_base_model(tmp_path):
    base, interventions, drift = tiny.base(), Interventions(tiny.base()), []
    fresh = Replay.drawn(base, seed=99, first_trained=0)  # other texts than those of the runs
    for folder, weight in (("without", 0.0), ("with", 20.0)):
        result, weights = trained(tmp_path / folder, replay=weight)
        with torch.no_grad(), interventions.everywhere(Row(adapters=((weights, 1.0),))):
            drift.append(sum(drift_of(fresh, i) for i in range(TEXTS // EACH_STEP)))
        assert result.metrics["accuracy"] > 0.5
    interventions.remove()
    assert drift[1] < 0.5 * drift[0]


def test_replayed_texts_are_the_models_own_and_its_base_is_at_no_distance():
    base = tiny.base()
    one, same, other = (Replay.drawn(base, seed=seed, first_trained=2) for seed in (4, 4, 5))
    assert one.texts.shape == (TEXTS, TOKENS)
    assert torch.equal(one.texts, same.texts)
    assert not torch.equal(one.texts, other.texts)
    assert one.trunk is not None
    with torch.no_grad():
        assert drift_of(one, 3) == pytest.approx(0.0, abs=1e-5)
        whole = base.model(input_ids=one.texts[:1]).logits
    assert functional.cosine_similarity(base.logits(one.said[0].states[None]), whole, dim=-1).min() > 0.999


def test_a_run_with_another_teacher_is_another_run(tmp_path):
    def stop(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    dpo = registry.get("dpo")
    given = {"parameters": dpo.resolve({}), "system_message": "", "seed": 1, "settings": SETTINGS}
    with pytest.raises(KeyboardInterrupt):
        train_adapter(
            tiny.base(), rated_records(4), dpo, out=tmp_path / "x", checkpoints=tmp_path / "checkpoints",
            report=stop, **given,
        )  # fmt: skip
    begun: list[int] = []
    train_adapter(
        tiny.base(), rated_records(4), dpo, out=tmp_path / "out", checkpoints=tmp_path / "checkpoints",
        teacher=vectors(), report=lambda progress: begun.append(progress.step), **given,
    )  # fmt: skip
    assert begun[0] == 0
