"""Train LoRA adapters from a person's feedback with any registered loss: one person's, or many at once.

Knows nothing of jobs, databases or how the result is proven. What is trained together shares the passes
through the frozen base model and nothing else: each person has their own records, teacher, matrices,
optimiser, clipping and progress, and gets what they would get alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from traceback import clear_frames
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from personalization.errors import Cancelled, NotEnoughData
from personalization.models.base import BaseModel
from personalization.models.logprobs import mean_logps
from personalization.models.personal import SteeringVectors
from personalization.progress import Report, ignore
from personalization.records import Message, Pair, Records
from personalization.registry import Method
from personalization.training.duplicates import distinct
from personalization.training.encoded import Encoded
from personalization.training.examples import Example, examples_of, pair_examples
from personalization.training.lora import Adapter, acting, first_trained
from personalization.training.online import Judge, Online
from personalization.training.packed import Text, packable
from personalization.training.parts import WAYS
from personalization.training.replay import Replay
from personalization.training.run import SINKING_NATS, Run, shared_loss
from personalization.training.selection import selected
from personalization.training.settings import TrainingSettings
from personalization.training.trunk import decoded_above


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run did: examples used, steps, the last epoch's means, and the settings.

    `entanglement` has one entry for each epoch (`Entanglement.as_dict`), none where nothing was unwanted;
    `anchored_at` is the step from which chosen answers were kept from sinking, None where none sank;
    `taught`: a vector was the teacher.
    """

    examples: int
    steps: int
    metrics: dict[str, float]
    chosen_sinks: bool
    entanglement: list[dict[str, float | bool]] = field(default_factory=list)
    anchored_at: int | None = None
    taught: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class Lesson:
    """What one person's adapter is to learn from and how, and where it goes.

    `parameters` are the method's (`Method.resolve`); those that are not named have its defaults. `teacher`
    holds the vectors that the same feedback implies; the adapter learns to write as they do, too. `held_out`
    is measured once per epoch for the person to see; nothing is chosen by it. A run that was interrupted goes
    on from `checkpoints`, bit for bit; one of other data or settings begins anew. `report` may raise: then
    this lesson ends, and nothing is written to `out`. `on_end` hears the result, or what ended the lesson,
    while whoever learns with it waits. `judge` judges what an online method's policy writes.
    """

    records: Records
    method: Method
    out: Path
    checkpoints: Path
    parameters: Mapping[str, float] = field(default_factory=dict)
    system_message: str = ""
    held_out: Sequence[Pair] = ()
    teacher: SteeringVectors | None = None
    seed: int = 0
    settings: TrainingSettings = TrainingSettings()  # noqa: RUF009 - immutable
    report: Report = ignore
    on_end: Callable[[TrainingResult | Exception], None] = lambda _outcome: None
    judge: Judge | None = None


def train_adapter(
    base: BaseModel,
    records: Records,
    method: Method,
    *,
    parameters: Mapping[str, float],
    system_message: str,
    out: Path,
    checkpoints: Path,
    held_out: Sequence[Pair] = (),
    teacher: SteeringVectors | None = None,
    seed: int = 0,
    settings: TrainingSettings = TrainingSettings(),  # noqa: B008 - immutable
    report: Report = ignore,
    judge: Judge | None = None,
) -> TrainingResult:
    """Train and write one adapter (see `Lesson`) in PEFT's format; the base model is left as it was.

    Raises NotEnoughData without records of the method's kind, ArithmeticError where the loss is no number,
    and what `report` raises.
    """
    given = (parameters, system_message, held_out, teacher, seed, settings, report)
    (found,) = train_together(base, [Lesson(records, method, out, checkpoints, *given, judge=judge)])
    if isinstance(found, Exception):
        raise found
    return found


def train_together(
    base: BaseModel,
    lessons: Iterable[Lesson],
    *,
    joining: Callable[[int], Iterable[Lesson]] = lambda _learning: (),
) -> list[TrainingResult | Exception]:
    """Train and write many people's adapters in the same passes; return each one's result, or what ended it.

    Methods and settings may differ. Before each step `joining`, told how many learn, says who begins now,
    too; after the last one ended it is not asked. Whoever fails is dropped alone, whoever is done leaves
    first, and nobody's result depends on who else was there. What `joining` and a lesson's `on_end` raise,
    and what is no Exception (a shutdown), keeps every checkpoint and is raised.
    """
    outcomes: list[TrainingResult | Exception | None] = []
    learning: dict[int, tuple[Lesson, Run]] = {}

    def begin(lesson: Lesson) -> None:
        outcomes.append(None)
        try:
            learning[len(outcomes) - 1] = lesson, _begun(base, lesson)
        except Exception as error:
            end(len(outcomes) - 1, lesson, _let_go(error))

    def end(index: int, lesson: Lesson, outcome: TrainingResult | Exception) -> None:
        outcomes[index] = outcome
        lesson.on_end(outcome)

    try:
        for lesson in lessons:
            begin(lesson)
        while True:
            for index in [index for index, (_, run) in learning.items() if run.is_over]:
                lesson = learning[index][0]
                end(index, lesson, _ended(*learning.pop(index)))
            if not learning:
                break
            for lesson in joining(len(learning)):
                begin(lesson)
            _step(base, [run for _, run in learning.values() if not run.is_over])
    except BaseException:
        for _, run in learning.values():
            _keep(run)
        raise
    return [outcome for outcome in outcomes if outcome is not None]


def _begun(base: BaseModel, lesson: Lesson) -> Run:
    message, settings = lesson.system_message, lesson.settings
    kept = selected(distinct(lesson.records), settings, lambda answers: mean_logps(base, answers))
    examples = examples_of(kept, lesson.method.data, system_message=message, settings=settings)
    held_out = pair_examples(lesson.held_out, (Message("system", message),) if message else ())
    first = first_trained(base, settings)
    online = _online(lesson, examples, first)
    together = WAYS[lesson.method.trained].together
    run = Run(
        base,
        # What an online method asks is not read itself.
        Encoded(base, examples)
        if online
        else Encoded(base, examples, first_trained=first, teacher=lesson.teacher, together=together),
        Encoded(base, held_out, first_trained=first),
        Replay.of(base, first_trained=first) if settings.replay else None,
        lesson.method,
        lesson.parameters,
        settings,
        seed=lesson.seed,
        checkpoints=lesson.checkpoints,
        report=lesson.report,
        online=online,
    )
    run.begin()
    return run


def _online(lesson: Lesson, examples: Sequence[Example], first: int) -> Online | None:
    if not lesson.method.draws:
        return None
    if lesson.judge is None:
        raise NotEnoughData("Nothing tells yet which of two answers is better.", missing=1)
    return Online(
        examples,
        lesson.judge,
        lesson.method.draws,
        lesson.method.resolve(lesson.parameters).get("mixture", 0.0),
        lesson.seed,
        first,
        lesson.teacher,
    )


def _ended(lesson: Lesson, run: Run) -> TrainingResult | Exception:
    if run.failed is not None:
        return run.failed
    try:
        lesson.out.mkdir(parents=True, exist_ok=True)
        run.save(lesson.out)
    except OSError as error:  # a full disk
        return error
    metrics = run.metrics
    sinks = metrics.get("chosen_change", 0.0) < SINKING_NATS
    return TrainingResult(
        run.examples,
        run.steps,
        metrics,
        sinks,
        run.entangled,
        run.anchored_at,
        lesson.teacher is not None,
        run.settings,
    )


def _step(base: BaseModel, runs: Sequence[Run]) -> None:
    """Take one step of every run, those that are read from the same layer together."""
    for run in runs:
        _try(run, run.prepare)
    together = defaultdict(list)
    for index, run in enumerate(run for run in runs if run.failed is None):
        apart = 0 if packable(base) else index  # padded texts have no tokens of one person in a row
        together[apart, run.train.first, run.replay.first if run.replay else -1].append(run)
    for some in together.values():
        _step_of(base, some)


def _step_of(base: BaseModel, some: Sequence[Run]) -> None:
    try:
        _pass(base, some)
    except Exception as error:  # memory, most likely: whoever is too long fails alone
        _let_go(error)
        for run in some:
            run.drop_gradient()
        if len(some) > 1:
            half = len(some) // 2
            _step_of(base, some[:half])
            _step_of(base, some[half:])
        else:
            some[0].failed = error
            _keep(some[0])
        return
    for run in some:
        if run.failed is None:
            _try(run, run.step)


def _let_go(error: Exception) -> Exception:
    """Return the error without what its frames hold: the memory that a pass did not get, for the others."""
    clear_frames(error.__traceback__)
    return error


def _pass(base: BaseModel, some: Sequence[Run]) -> None:
    """Give every run the gradient of its next step."""
    texts = [run.train.texts(run.batch) for run in some]
    acts = [run.acts(own) for run, own in zip(some, texts, strict=True)]
    hidden = _read(base, texts, acts, some[0].train.first)
    plain = hidden
    if first := some[0].replay:
        texts = [run.replay.below(run.done) for run in some if run.replay]
        acts = [run.acts_on_any(own) for run, own in zip(some, texts, strict=True)]
        plain = _read(base, texts, acts, first.first)
    loss = shared_loss(base, some, hidden, plain)
    if loss.requires_grad:
        loss.backward()


def _try(run: Run, act: Callable[[], None]) -> None:
    """Do something for one run; where that fails it is over, and keeps where it stands unless cancelled."""
    try:
        act()
    except Exception as error:
        run.failed = _let_go(error)
        if not isinstance(error, Cancelled):
            _keep(run)


def _keep(run: Run) -> None:
    """Write where a run stands that ends here; where the disk is full, the last checkpoint remains."""
    with suppress(OSError, SafetensorError):
        run.keep()


def _read(
    base: BaseModel,
    texts: Sequence[Sequence[Text]],
    acts: Sequence[Sequence[tuple[Adapter, int]]],
    first: int,
) -> list[Tensor]:
    """Return the decoder's output (tokens, hidden) for each run's texts, and what acts on how many."""
    every = [one for own in acts for one in own]
    with acting([adapter for adapter, _ in every], [tokens for _, tokens in every]):
        output = decoded_above(base, [text for own in texts for text in own], first)
    return list(output.split([sum(tokens for _, tokens in own) for own in acts]))
