"""The rows that are being answered, and the two forward passes they need: prompts, then one token each.

Knows nothing of queues, threads or what a row's tokens mean. A row's place changes when another row
leaves; `rows[i]` is always row i of the logits that `step` returns.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache

from personalization.engine.cache import RowCache
from personalization.engine.detokenise import Detokeniser
from personalization.engine.prefix import Key, PrefixCache
from personalization.engine.requests import GenerationRequest
from personalization.engine.states import RunningStates
from personalization.engine.stops import StopStrings
from personalization.engine.stream import LocalStream
from personalization.errors import ModelError
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.steering.instant import MeanStates


@dataclass(eq=False)
class Answer:
    """One request on its way: what it carries, and what has come of it."""

    request: GenerationRequest
    stream: LocalStream
    prompt: Sequence[int]
    row: Row
    key: Key
    generator: torch.Generator
    words: Detokeniser
    stops: StopStrings
    limit: int  # new tokens at most
    submitted: float = field(default_factory=time.monotonic)
    first_token: float | None = None
    token_count: int = 0
    states: MeanStates | None = None  # what a row that carries nothing held when it left
    drawn: list[int] = field(default_factory=list)  # tokens, the last of them not yet read

    @property
    def last_token(self) -> int:
        """The token that the next step reads."""
        return self.drawn[-1]


@dataclass(frozen=True)
class _Read:
    """Prompts that were read together: answer i is row `place[i]` of `past` and `logits`."""

    answers: list[Answer]
    place: list[int]
    past: DynamicCache
    logits: Tensor


class Batch:
    """Up to `max_rows` answers in one forward pass; what finished ones read is kept for the next turn."""

    def __init__(self, base: BaseModel, *, max_rows: int, prefix_bytes: int = 0) -> None:
        self._base = base
        self._interventions = Interventions(base)
        self.states = RunningStates(base, max_rows=max_rows)
        self._cache = RowCache(len(base.layers), max_rows=max_rows, device=base.device)
        self.prefixes = PrefixCache(prefix_bytes)
        self.rows: list[Answer] = []

    def check(self, row: Row) -> None:
        """Raise ModelError when what a row carries does not fit the model."""
        self._interventions.check(row)

    def join(self, answers: Sequence[Answer]) -> Tensor:
        """Read the prompts of new rows and add them; return their logits (new rows, vocabulary).

        What is known of a prompt is not read again, and equal prompts of one key are read once.
        """
        parts = [self._read(group) for group in self._by_known_length(answers)]
        # Nothing is added before everything was read: a failure leaves the batch as it was.
        logits = dict[int, Tensor]()
        for part in parts:
            self._cache.append(part.past, [len(answer.prompt) for answer in part.answers], part.place)
            self.rows += part.answers
            logits |= {id(a): part.logits[at] for a, at in zip(part.answers, part.place, strict=True)}
        self.states.join(len(answers))
        return torch.stack([logits[id(answer)] for answer in answers])

    def _by_known_length(self, answers: Sequence[Answer]) -> Iterable[list[tuple[Answer, Tensor | None]]]:
        """Return answers with what is known of their prompts, those of equal length together."""
        groups: dict[int, list[tuple[Answer, Tensor | None]]] = {}
        for answer in answers:
            known = self.prefixes.find(answer.key, answer.prompt)
            groups.setdefault(0 if known is None else known.shape[2], []).append((answer, known))
        return groups.values()

    def _read(self, group: Sequence[tuple[Answer, Tensor | None]]) -> _Read:
        """Read what is not known of these prompts, in one pass."""
        places: dict[tuple[Key, tuple[int, ...]], int] = {}
        place = [places.setdefault((a.key, tuple(a.prompt)), len(places)) for a, _ in group]
        first = dict(zip(place, group, strict=True))
        read = [first[at] for at in range(len(places))]
        past, start = _past([known for _, known in read])
        lengths = [len(answer.prompt) - start for answer, _ in read]
        ids = torch.zeros(len(read), max(lengths), dtype=torch.long)
        for i, (answer, _) in enumerate(read):
            ids[i, : lengths[i]] = torch.tensor(answer.prompt[start:])
        with self._interventions.rows([answer.row for answer, _ in read], prompts=True):
            # Padding is on the right, where a causal model does not look: no mask.
            output = self._base.decoder(
                input_ids=ids.to(self._base.device), past_key_values=past, use_cache=True
            )
        last = torch.tensor(lengths, device=self._base.device) - 1
        hidden = output.last_hidden_state[torch.arange(len(read), device=self._base.device), last]
        return _Read([answer for answer, _ in group], place, past, self._base.logits(hidden))

    def step(self) -> Tensor:
        """Read every row's last token; return the logits for the next (rows, vocabulary)."""
        cache = self._cache
        cache.ready()
        ids = torch.tensor([[answer.last_token] for answer in self.rows], device=self._base.device)
        with self.states.listening(), self._interventions.rows([answer.row for answer in self.rows]):
            output = self._base.decoder(
                input_ids=ids,
                attention_mask=cache.mask(self._base.model.dtype),
                position_ids=cache.lengths[:, None],
                past_key_values=cache.past,
                use_cache=True,
            )
        cache.grown()
        return self._base.logits(output.last_hidden_state[:, -1])

    def leave(self, answer: Answer, *, broken: bool = False) -> None:
        """Take a row out; the last one takes its place."""
        place = self.rows.index(answer)
        if not broken and answer.row == Row():
            answer.states = self.states.of(place)
        if not broken:
            known, states = self._cache.row(place)
            self.prefixes.keep(answer.key, [*answer.prompt, *answer.drawn][:known], states)
        self._cache.remove(place, scrub=broken)
        self.states.leave(place)
        last = self.rows.pop()
        if last is not answer:
            self.rows[place] = last

    def clear(self) -> None:
        """Forget every row."""
        self.rows = []
        self.states.clear()
        self._cache.clear()


def _past(known: Sequence[Tensor | None]) -> tuple[DynamicCache, int]:
    """Return a cache that holds what is known of each row, all of one length, and that length."""
    past, states = DynamicCache(), [each for each in known if each is not None]
    if not states:
        return past, 0
    together = torch.stack(states)  # (rows, 2 x layers, heads, tokens, width)
    for layer in range(together.shape[1] // 2):
        past.update(together[:, 2 * layer], together[:, 2 * layer + 1], layer)
    return past, together.shape[3]


def supported_context(base: BaseModel) -> int:
    """Return how many tokens a row may have. Raises ModelError for an architecture that rows cannot share."""
    config = base.model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds - {"full_attention", "sliding_attention"} or getattr(config, "attn_logit_softcapping", None):
        raise ModelError(
            f"The local engine cannot serve {base.name}: it needs plain attention layers, and these are "
            f"{', '.join(sorted(kinds))}. Serve it with another engine (ALIGN_ENGINE)."
        )
    # Inside of its window a sliding layer sees everything, so rows stay within it.
    window = getattr(config, "sliding_window", None) if "sliding_attention" in kinds else None
    return min(base.context_length, window or base.context_length)


def bytes_per_token(base: BaseModel) -> int:
    """Return what one token of one row takes in the cache."""
    config = base.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * len(base.layers) * heads * width * base.model.dtype.itemsize)
