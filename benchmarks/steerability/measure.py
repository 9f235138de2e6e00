"""One cell: a trait's vector and a random one of its norm, at every strength, read in three ways.

*said*: log-probability of the held-out statements as the model's own words, nats for each token.
*yes*: log-odds of "Yes" over "No" when asked whether it would say them, nats.
*text*: cosine of generated answers to what people with the trait say, minus that to the other traits'.

The first two are changes on the trait's statements minus changes on the other traits' statements, so
that a model which says Yes to everything, or any statement more readily, gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.steerability.statements import Drawn, Sizes, questions
from personalization.models.base import BaseModel
from personalization.models.cost import measure_cost, plain_logps
from personalization.models.generate import short_answers
from personalization.models.interventions import Interventions, Row
from personalization.models.logprobs import Completions, completion_logps
from personalization.models.personal import SteeringVectors
from personalization.models.prompts import encode_chat, encode_completion
from personalization.models.relevance import encoder, relevance
from personalization.records import Message
from personalization.steering.capture import mean_states
from personalization.steering.soundness import repetition

LAYER_SHARE = 0.47  # layer 14 of 30, set before any of these statements was read
PROMPT = "Tell me something about yourself."
ASKING = 'Is the following statement something you would say?\n"{}"'
BATCH = 32


class Study:
    """Everything that the traits of one seed share."""

    def __init__(
        self, base: BaseModel, statements: Mapping[str, Sequence[str]], *, seed: int, sizes: Sizes
    ) -> None:
        self._base, self._seed, self._sizes = base, seed, sizes
        self._layer = int(LAYER_SHARE * len(base.layers))
        self._drawn = {n: Drawn.of(rows, seed=seed, sizes=sizes) for n, rows in statements.items()}
        self._interventions = Interventions(base)
        self._answers = [encode_completion(base, word)[0] for word in ("Yes", "No")]

    @cached_property
    def _states(self) -> dict[str, Tensor]:
        """Each trait's mean hidden state (hidden,) over its learned statements, and every state's norm."""
        said = {name: _said(drawn.learned) for name, drawn in self._drawn.items()}
        encoded = Completions.encode(self._base, [item for items in said.values() for item in items])
        states = mean_states(self._base, encoded)[:, self._layer]
        parts = states.split([len(items) for items in said.values()])
        return {**{n: p.mean(dim=0) for n, p in zip(said, parts, strict=True)}, "": states.norm(dim=-1)}

    @cached_property
    def _plain(self) -> list[Tensor]:
        return plain_logps(self._base)

    def vector(self, trait: str) -> Tensor:
        """Return the trait's mean state minus that of the other traits, with the mean hidden norm."""
        others = [state for name, state in self._states.items() if name not in (trait, "")]
        difference = self._states[trait] - torch.stack(others).mean(dim=0)
        return normalize(difference, dim=0) * self._states[""].mean()

    def cell(self, trait: str) -> dict[str, Any]:
        """Measure one trait: see the module. All lists run over the strengths."""
        learned = self.vector(trait)
        number = 1000 * self._seed + list(self._drawn).index(trait)
        generator = torch.Generator().manual_seed(number)
        anywhere = normalize(torch.randn(learned.shape, generator=generator), dim=0) * learned.norm()
        vectors = {"vector": learned, "random": anywhere}
        rows = {name: [self._row(v, s) for s in self._sizes.strengths] for name, v in vectors.items()}
        own = list(self._drawn[trait].judged)
        others = [s for n, d in self._drawn.items() if n != trait for s in d.judged[: self._sizes.others]]
        plain = [read(own + others, Row()) for read in (self._likelihoods, self._log_odds)]
        found: dict[str, Any] = {"trait": trait, "seed": self._seed, "strengths": self._sizes.strengths}
        found |= self._texts(trait, rows)
        for name, arm in rows.items():
            said = np.array([self._likelihoods(own + others, row) - plain[0] for row in arm])
            yes = np.array([self._log_odds(own + others, row) - plain[1] for row in arm])
            costs = [measure_cost(self._base, self._interventions, row, self._plain) for row in arm]
            found[name] |= {
                "said": contrast(said, len(own)),
                "yes": contrast(yes, len(own)),
                "yes_to_others": yes[:, len(own) :].mean(axis=1).tolist(),
                "against": against(yes, len(own), self._sizes.strengths),
                "kl": [cost.kl_to_base for cost in costs],
                "perplexity_ratio": [cost.ratio for cost in costs],
            }
        self._interventions.remove()
        return found

    def _row(self, vector: Tensor, strength: float) -> Row:
        return Row(vectors=((SteeringVectors({(self._layer, "output"): vector}), strength),))

    @torch.no_grad()
    def _likelihoods(self, statements: Sequence[str], row: Row) -> Any:
        with self._interventions.everywhere(row):
            sums, counts = completion_logps(self._base, Completions.encode(self._base, _said(statements)))
        return (sums / counts).cpu().numpy()

    @torch.no_grad()
    def _log_odds(self, statements: Sequence[str], row: Row) -> Any:
        chats = [encode_chat(self._base, (Message("user", ASKING.format(s)),)) for s in statements]
        found = np.empty(len(chats))
        with self._interventions.everywhere(row):
            for start in range(0, len(chats), BATCH):
                batch = chats[start : start + BATCH]
                ids = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.long)
                for i, chat in enumerate(batch):
                    ids[i, : len(chat)] = torch.tensor(chat)
                hidden = self._base.decoder(input_ids=ids.to(self._base.device), use_cache=False)
                last = hidden.last_hidden_state[range(len(batch)), [len(chat) - 1 for chat in batch]]
                yes, no = self._base.logits(last, self._answers).float().cpu().unbind(dim=-1)
                found[start : start + BATCH] = (yes - no).numpy()
        return found

    def _texts(self, trait: str, rows: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
        """Write answers with no vector and with every arm and strength, in one batch; judge all."""
        asked, unasked = questions(trait, self._sizes)
        every = [*asked, *unasked]
        shapes = [Row(), *(row for arm in rows.values() for row in arm)]
        chats = [[Message("user", question)] for _ in shapes for question in every]
        with self._interventions.rows([shape for shape in shapes for _ in every]):
            answers = short_answers(
                self._base, chats, seed=self._seed, max_new_tokens=self._sizes.new_tokens, temperature=1.0
            )
        judge = Judge.of(trait, {name: drawn.described for name, drawn in self._drawn.items()})
        scores = judge(answers).reshape(len(shapes), len(every))
        kept = np.array(relevance([c[0].content for c in chats], answers)).reshape(scores.shape).mean(axis=1)
        again = np.array([repetition(a) for a in answers]).reshape(scores.shape).mean(axis=1)
        means = {
            "asked": scores[:, : len(asked)].mean(axis=1),
            "unasked": scores[:, len(asked) :].mean(axis=1),
            "text": scores.mean(axis=1),
            "relevance": kept,
            "repetition": again,
        }
        found: dict[str, Any] = {"judge_accuracy": judge.accuracy(trait, self._checking)}
        found["base"] = {name: float(values[0]) for name, values in means.items()}
        found["example"] = {"question": every[-1], "base": answers[len(every) - 1], "strongest": answers[
            len(every) * (1 + len(self._sizes.strengths)) - 1]}  # fmt: skip
        for i, name in enumerate(rows):
            first = 1 + i * len(self._sizes.strengths)
            part = slice(first, first + len(self._sizes.strengths))
            found[name] = {key: (values[part] - values[0]).tolist() for key, values in means.items()}
        return found

    @property
    def _checking(self) -> dict[str, tuple[str, ...]]:
        return {name: drawn.checking for name, drawn in self._drawn.items()}


class Judge:
    """Cosine to what people with the trait say, minus the mean cosine to what the other traits' say."""

    def __init__(self, own: Tensor, others: Tensor) -> None:
        self._towards = own - others

    @classmethod
    def of(cls, trait: str, described: Mapping[str, Sequence[str]]) -> Judge:
        """Make each trait the unit mean of its held-out statements' sentence vectors."""
        means = {
            name: normalize(encoder().encode(rows).mean(dim=0), dim=0) for name, rows in described.items()
        }
        return cls(means[trait], torch.stack([v for name, v in means.items() if name != trait]).mean(dim=0))

    def __call__(self, texts: Sequence[str]) -> Any:
        """Return each text's score (n,)."""
        return (encoder().encode(texts) @ self._towards).numpy()

    def accuracy(self, trait: str, checking: Mapping[str, Sequence[str]]) -> float:
        """Return how often an unseen statement of the trait scores above one of another trait."""
        own = self(checking[trait])
        others = np.concatenate([self(rows) for name, rows in checking.items() if name != trait])
        return float((own[:, None] > others[None]).mean())


def contrast(changes: Any, own: int) -> list[float]:
    """Return for each strength the mean change of the first `own` statements minus that of the rest."""
    found: list[float] = (changes[:, :own].mean(axis=1) - changes[:, own:].mean(axis=1)).tolist()
    return found


def against(changes: Any, own: int, strengths: Sequence[float]) -> dict[str, float]:
    """Return the share of the trait's statements whose log-odds fall as the strength rises.

    "alone": as Tan et al. 2024 count; "beside_others": their slope minus the other statements' mean slope.
    """
    s = np.array(strengths)
    slopes = s @ changes / (s @ s)
    return {
        "alone": float((slopes[:own] < 0).mean()),
        "beside_others": float((slopes[:own] < slopes[own:].mean()).mean()),
    }


def _said(statements: Sequence[str]) -> list[tuple[tuple[Message, ...], str]]:
    return [((Message("user", PROMPT),), statement) for statement in statements]
