"""What is asked of an engine and what it answers, as plain data.

Knows nothing of torch, queues or HTTP. Every engine (in-process, vLLM) takes the same request:
messages, sampling, and the interventions that make it one person's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from personalization.records import Message

if TYPE_CHECKING:
    from personalization.margins import Margins
    from personalization.safety.gate import Gate
    from personalization.steering.instant import MeanStates

InterventionKind = Literal["adapter", "vector", "personality", "values"]
FinishReason = Literal["eos", "stop", "length", "deadline", "cancelled", "error"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 leave everything in.

    An answer ends before the first of the `stop` strings. The penalties (-2 to 2, OpenAI's) lower the logits
    of tokens that the answer has already: by `presence_penalty` once, by `frequency_penalty` for each time.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 256
    seed: int = 0
    stop: Sequence[str] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", tuple(self.stop))  # JSON knows lists only

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {**asdict(self), "stop": list(self.stop)}


@dataclass(frozen=True, slots=True)
class Intervention:
    """A sealed artifact on disk and how strongly it acts: 0 is off, 1 as learned, at most 1.5."""

    kind: InterventionKind
    path: Path  # the artifact's folder; already verified for its owner
    digest: str  # what caches are keyed by
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One answer to be generated.

    What was computed for one `owner` is never used for another, and owners get fair shares. After
    `deadline_seconds` from `submit` the answer ends where it is; one without a word is an error.
    """

    id: str
    messages: tuple[Message, ...]
    sampling: Sampling
    interventions: tuple[Intervention, ...] = ()
    owner: str = ""
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text that became certain (never half a character)."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer: by its end token, a stop string, its length, its deadline, or not by itself.

    `seconds_to_first_token` counts from `submit`; tokens count those of a stop string, too.

    `states` are the base model's over the answer, gathered while it was written: the mean over all tokens
    that were read, so without the end of turn, and without the last token where the length was the end.
    None where anything acted on the model, and after a stop string, whose tokens are in the mean.
    """

    reason: FinishReason
    text: str
    token_count: int
    seconds_to_first_token: float
    seconds: float
    error: str = ""
    states: MeanStates | None = None
    prompt_token_count: int = 0


class Stream(Protocol):
    """The events of one request, in order; the last one is `Finished`."""

    def __iter__(self) -> Iterator[Token | Finished]: ...

    def next(self, timeout_seconds: float | None = None) -> Token | Finished | None:
        """Return the next event; None when none came within the timeout."""

    def cancel(self) -> None:
        """Stop at the next token; `Finished("cancelled")` follows."""


class Engine(Protocol):
    """Whatever turns requests into streams."""

    def submit(self, request: GenerationRequest) -> Stream:
        """Queue a request and return its stream at once. Raises EngineBusy when the queue is full."""

    def read(self, messages: Sequence[Message], text: str) -> MeanStates:
        """Return what the base model alone holds while it reads an answer, as `Finished.states` does.

        One forward pass, between two steps. Raises ModelError when the messages alone fill the context,
        ValueError for an answer without tokens, and EngineBusy when the engine closes.
        """

    def gate(
        self, intervention: Intervention, *, tick: Callable[[], None], margins: Margins | None = None
    ) -> Gate:
        """Return what an artifact does to refusals, at its strength, measured between the steps of answers.

        It is judged by `margins`, the library's own where there are none.

        `tick` is called after every few of the requests that are put to it. Raises ArtifactError, ModelError
        for what does not fit, EngineBusy when the engine closes, and whatever `tick` raises.
        """

    def resident(self) -> list[str]:
        """Return the digests of the artifacts that this process holds in memory, latest used last."""
        ...

    def forget(self, names: Iterable[str]) -> None:
        """Drop from memory what was deleted: artifacts by digest, and what owners' answers left behind.

        Answers that are under way run on.
        """

    def close(self) -> None:
        """Cancel what runs and free the model."""
