"""What online methods learn from: answers that the policy writes at each step, judged by the person's reward.

Each message of the person's comparisons is answered as the method asks (`Method.draws`) before the step that
learns from it; the step is then an ordinary one. Bounded: some messages a step and NEW_TOKENS a text, so that
a run's progress, cancellation and checkpoints are those of any other. Knows nothing of losses, nor of how the
judge was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions
from personalization.models.personal import SteeringVectors
from personalization.records import Message
from personalization.registry import Draw
from personalization.training.encoded import Encoded
from personalization.training.examples import Example
from personalization.training.lora import Adapter
from personalization.training.sampling import sampled

# How much the person would like each answer to a prompt, in log-odds of being preferred (`steering.judge`).
Judge = Callable[[Sequence[Message], Sequence[str]], Sequence[float]]


@dataclass(frozen=True)
class Online:
    """Who judges, what is drawn for each message, and how it is read; a seed and step draw the same."""

    asked: Sequence[Example] = field(repr=False)  # whose first answer's messages are answered anew
    judge: Judge = field(repr=False)
    draws: tuple[Draw, ...]
    mixture: float  # the base model's share of a mixture
    seed: int
    first_trained: int
    teacher: SteeringVectors | None = field(default=None, repr=False)

    def answered(self, base: BaseModel, indices: Sequence[int], adapter: Adapter, *, step: int) -> Encoded:
        """Return the messages of these of the examples with answers of the policy as it stands.

        What is wanted of an answer is how much better the person likes it than the others to its message, in
        log-odds. Answers drawn as the first one was are learned from; others are what it is measured by.
        """
        chats = [self.asked[i].answers[0][0] for i in indices]
        prompts = Completions.encode(base, [(chat, "") for chat in chats for _ in self.draws]).prompts
        answers = sampled(
            base, prompts, self.draws * len(chats), adapter, mixture=self.mixture, seed=self._seed(step)
        )
        texts = base.tokenizer.batch_decode([list(ids) for ids in answers], skip_special_tokens=True)
        count = len(self.draws)
        kept = [i for i, draw in enumerate(self.draws) if draw == self.draws[0]]
        examples, places = [], []
        for at, chat in enumerate(chats):
            own = texts[at * count : (at + 1) * count]
            liked = self.judge([message for message in chat if message.role != "system"], own)
            better = [liked[i] - (sum(liked) - liked[i]) / (count - 1) for i in kept]
            examples.append(Example(tuple((chat, own[i]) for i in kept), tuple(better)))
            places += [at * count + i for i in kept]
        drawn = Completions(prompts, tuple(answers)).take(places)
        return Encoded(
            base, examples, first_trained=self.first_trained, teacher=self.teacher, completions=drawn
        )

    def _seed(self, step: int) -> int:
        return self.seed * 1_000_003 + step
