"""What is written in training comes from the distribution that a method names, and is judged as it says."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from personalization import registry
from personalization.errors import Cancelled, NotEnoughData
from personalization.models.prompts import encode_chat
from personalization.records import Message, Pair, Records
from personalization.training.examples import pair_examples
from personalization.training.lora import Adapter, acting
from personalization.training.online import Online
from personalization.training.sampling import NEW_TOKENS, sampled
from personalization.training.settings import TrainingSettings
from personalization.training.train import train_adapter
from tests import tiny

SETTINGS = TrainingSettings(rank=2, alpha=4, learning_rate=5e-2, epochs=20, pairs_per_batch=4, replay=0.0)
PAIRS = tuple(Pair(f"chat-{i}", (), (Message("user", f"Say {i}"),), f"YES {i}", "no") for i in range(8))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def adapter(seed: int = 0, *, acts: bool = True) -> Adapter:
    found = Adapter(tiny.base(), SETTINGS, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in found.parameters.items():
        if acts and name.endswith("lora_B"):
            parameter.data = 0.4 * torch.randn(parameter.shape, generator=generator)
    return found


def prompts(*texts: str) -> list[list[int]]:
    return [encode_chat(tiny.base(), [Message("user", text)]) for text in texts]


@torch.no_grad()
def next_word(ids: list[int], *adapters: Adapter) -> torch.Tensor:
    with acting(adapters):
        return tiny.base().model(torch.tensor([ids])).logits[0, -1].log_softmax(dim=-1)


def test_the_greedy_answer_is_the_likeliest_token_by_token_however_long_its_neighbours_are():
    acts, asked = adapter(), prompts("Hi", "What is a long question about?")
    short, _ = sampled(tiny.base(), asked, ("greedy", "policy"), acts, seed=1, new_tokens=6)
    (alone,) = sampled(tiny.base(), asked[:1], ("greedy",), acts, seed=2, new_tokens=6)
    assert short == alone
    for i, token in enumerate(short):
        assert token == int(next_word([*asked[0], *short[:i]], acts).argmax())


def test_of_the_base_model_alone_a_mixture_is_the_base_model_and_of_none_the_policy():
    acts, asked, base = adapter(), prompts(*"abcd"), tiny.base()
    plain = sampled(base, asked, ("policy",) * 4, adapter(acts=False), seed=5, new_tokens=8)
    policy = sampled(base, asked, ("policy",) * 4, acts, seed=5, new_tokens=8)
    for mixture, expected in ((1.0, plain), (0.0, policy)):
        found = sampled(base, asked, ("mixture",) * 4, acts, mixture=mixture, seed=5, new_tokens=8)
        assert found == expected
    assert plain != policy


def test_a_mixture_is_geometric():
    acts, (asked,), rows = adapter(), prompts("Hm"), 3000
    drawn = sampled(tiny.base(), [asked] * rows, ("mixture",) * rows, acts, mixture=0.3, seed=3, new_tokens=1)
    policy, base = next_word(asked, acts), next_word(asked)
    wanted = (0.7 * policy + 0.3 * base).log_softmax(dim=-1)
    told = torch.tensor([ids[0] for ids in drawn])
    mean = (wanted.exp() * wanted).sum()
    spread = (wanted.exp() * (wanted - mean).square()).sum().sqrt()
    assert (wanted[told].mean() - mean).abs() < 4 * spread / rows**0.5
    assert wanted[told].mean() > max(policy[told].mean(), base[told].mean())


def test_an_answer_ends_with_its_turn_and_the_context():
    base = tiny.base()
    end, room = int(base.tokenizer.eos_token_id), 3
    asked = prompts("x" * (base.context_length - room - len(prompts("")[0])))
    (answer,) = sampled(base, asked, ("policy",), adapter(), seed=1)
    assert 1 <= len(answer) <= room
    many = sampled(base, prompts(*["ab"] * 60), ("policy",) * 60, adapter(), seed=1)
    assert all(end not in answer[:-1] and 1 <= len(answer) <= NEW_TOKENS for answer in many)
    assert {answer[-1] == end for answer in many} == {True, False}


@pytest.mark.parametrize(
    ("draws", "kept"), [(("policy", "greedy"), 1), (("mixture", "mixture"), 2), (("policy", "mixture"), 1)]
)
def test_what_is_wanted_of_an_answer_is_how_much_better_it_is_liked_than_the_other(draws, kept):
    asked = pair_examples(PAIRS[:2], (Message("system", "Be loud."),))
    heard = []

    def judge(prompt, texts):
        heard.append((prompt, texts))
        return [float(len(text)) for text in texts]

    online = Online(asked, judge, draws, 0.2, 7, 0)
    made = online.answered(tiny.base(), [1], adapter(), step=4)
    ((prompt, (first, second)),) = heard
    assert prompt == list(PAIRS[1].prompt)  # a judge learned from messages without a system message
    gap = float(len(first) - len(second))
    assert made.wanted == [gap, -gap][:kept]
    assert made.completions.prompts[0] == tuple(encode_chat(tiny.base(), asked[1].answers[0][0]))
    again = online.answered(tiny.base(), [1], adapter(), step=4)
    assert again.completions == made.completions
    assert online.answered(tiny.base(), [1], adapter(), step=5).completions != made.completions


def loud(_prompt, texts) -> list[float]:
    return [10.0 * sum(c.isupper() for c in text) / max(1, len(text)) for text in texts]


def train(tmp_path, name: str, **more):
    return train_adapter(
        tiny.base(), Records(pairs=PAIRS), registry.get(name), parameters={}, system_message="",
        out=tmp_path / "out", checkpoints=tmp_path / "checkpoints", settings=SETTINGS, seed=1, **more,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["remax", "ipo_md"])
def test_a_policy_comes_to_write_what_its_person_likes(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sampled.__wrapped__.__kwdefaults__, "new_tokens", 8)  # less noise, sooner
    train(tmp_path, name, judge=loud)
    learned = adapter(acts=False)
    for key, value in load_file(tmp_path / "out" / "adapter_model.safetensors").items():
        learned.parameters[key.removeprefix("base_model.model.").removesuffix(".weight")].data = value
    asked = prompts(*(f"Tell {i}" for i in range(200)))

    def liked(one: Adapter) -> float:
        answers = sampled(tiny.base(), asked, ("policy",) * 200, one, seed=9)
        return sum(loud((), tiny.base().tokenizer.batch_decode(answers, skip_special_tokens=True))) / 200

    assert liked(learned) > 1.2 * liked(adapter(acts=False))


def test_without_a_judge_nothing_is_learned_and_who_cancels_is_heard_before_anything_is_written(tmp_path):
    with pytest.raises(NotEnoughData, match="which of two answers is better"):
        train(tmp_path, "remax")

    def stop(progress):
        if progress.step == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(tmp_path, "remax", judge=loud, report=stop)
    assert not (tmp_path / "out").exists()
