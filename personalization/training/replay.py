"""The base model's own plain text, which an adapter is to leave as it was while it learns somebody's taste.

A preference loss says nothing about text that is no answer, and drifts there. So each step also asks that the
adapter's next-token distributions stay the base model's on text which that model writes when nobody asks
anything (pseudo-rehearsal, Robins 1995, doi:10.1080/09540099550039318; as a divergence, Li and Hoiem 2016,
arXiv:1606.09282). No outside data, and so the same for every base model. Knows nothing of losses or pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from personalization.models.base import BaseModel
from personalization.models.generate import plain_text
from personalization.models.head import Said, divergence
from personalization.training.packed import Text
from personalization.training.trunk import Trunk

TEXTS, TOKENS = 32, 64  # drawn once for a model: nobody's, and so everybody's
SEED = 0
EACH_STEP = 3  # of the texts, in turn: about a fifth of the tokens of a step of four pairs


_drawn: WeakKeyDictionary[nn.Module, dict[tuple[int, torch.dtype], Replay]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Replay:
    """Texts of equal length, what the base model says of them, and what lies below the adapter."""

    texts: Tensor = field(repr=False)  # (texts, tokens)
    said: Sequence[Said] = field(repr=False)  # by the head, of the base model's own output for each
    trunk: Trunk | None = field(repr=False)

    @classmethod
    def of(cls, base: BaseModel, *, first_trained: int) -> Replay:
        """Return the model's texts; they are written and read once, while nothing acts on it."""
        known, key = _drawn.setdefault(base.model, {}), (first_trained, base.model.dtype)
        if key not in known:
            known[key] = cls.drawn(base, seed=SEED, first_trained=first_trained)
        return known[key]

    @classmethod
    @torch.no_grad()
    def drawn(cls, base: BaseModel, *, seed: int, first_trained: int) -> Replay:
        """Let the model write the texts of this seed and read them."""
        texts = plain_text(base, count=TEXTS, tokens=TOKENS, seed=seed)
        output = base.decoder(input_ids=texts, use_cache=False).last_hidden_state
        said = [Said.of(base, states) for states in output]
        return cls(texts, said, Trunk.of(base, [Text(ids, len(ids)) for ids in texts], first_trained))

    @property
    def first(self) -> int:
        """The layer from which on the texts are read."""
        return self.trunk.first if self.trunk else 0

    def at(self, step: int) -> list[int]:
        """Return which texts are a step's, in turn."""
        return [(step * EACH_STEP + i) % len(self.texts) for i in range(EACH_STEP)]

    def below(self, step: int) -> list[Text]:
        """Return what is read from `first` on, for a step's texts."""
        return [self.trunk.texts[i] if self.trunk else Text(self.texts[i], TOKENS) for i in self.at(step)]

    def divergence(self, base: BaseModel, step: int, hidden: Tensor) -> Tensor:
        """Return KL(base || policy) in nats a token, a mean over a step's texts.

        `hidden` is the decoder's output for them with the policy's adapter acting, (all tokens, hidden).
        """
        return divergence(base, hidden, Said.joined(self.said[i] for i in self.at(step))).mean()
