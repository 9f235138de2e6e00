"""What of an adapter acts and what learns, for methods that do not train all of it all the time.

An adapter's product is the sum over its ranks of a column of B times a row of A. So a part of its ranks is
an adapter, and what several parts make together is their sum, exactly, at no rank beyond the adapter's own:
nothing is merged or compressed. Knows nothing of losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from personalization.training.lora import Adapter, dim_of


class Whole:
    """All of an adapter, from the first step to the last; the reference is the base model."""

    # Whether two answers to one message can be read as branches of one text: where the same acts on both.
    together = True

    def __init__(self, adapter: Adapter, *, rank: int, epochs: int, parameters: Mapping[str, float]) -> None:
        self._adapter, self._rank, self._epochs, self._parameters = adapter, rank, epochs, parameters

    @property
    def served(self) -> Adapter:
        """What will act when the person is answered."""
        return self._adapter

    def on(self, wanted: Sequence[float]) -> list[Adapter]:
        """Return what acts on each text of a step, of which so much is wanted (`AnswerLogps.wanted`)."""
        return [self.served for _ in wanted]

    def reference(self, _epoch: int) -> tuple[Adapter, ...]:
        """Return what the policy is compared with in an epoch: the base model with this on it."""
        return ()

    def keep_still(self, epoch: int) -> None:
        """Drop the gradient of what does not learn in this epoch."""
        self._drop_gradient([i for i in range(self._rank) if i not in self._learning(epoch)])

    def end_epoch(self, _epoch: int) -> bool:
        """Change what an epoch's end changes; say whether the reference moved."""
        return False

    def end(self) -> None:
        """Make what is left what is served."""

    def _learning(self, _epoch: int) -> range:
        return range(self._rank)

    def _drop_gradient(self, ranks: Sequence[int]) -> None:
        for name, parameter in self._adapter.parameters.items() if ranks else ():
            if parameter.grad is not None:
                parameter.grad.index_fill_(dim_of(name), self._at(ranks), 0.0)

    def _scale(self, ranks: Sequence[int], factor: float) -> None:
        """Multiply what these ranks do."""
        with torch.no_grad():
            for name, parameter in self._adapter.parameters.items():
                if name.endswith(".lora_B") and ranks:
                    parameter[:, self._at(ranks)] *= factor

    def _at(self, ranks: Sequence[int]) -> torch.Tensor:
        return torch.tensor(list(ranks), device=next(iter(self._adapter.parameters.values())).device)


class Iterations(Whole):
    """Some ranks for each epoch, whose reference is what the epoch before it ended with, extrapolated.

    Nesterov's step on the change of the weights (He et al. 2024, arXiv:2410.06293): what an epoch ended with
    becomes W + momentum (W - W'), W' what the one before had ended with, before its own step. Every epoch
    only adds its ranks to the ones before, so that W' is among them, and the step scales: ranks of age k
    stand at 1 + momentum + ... + momentum^k times what they learned. A method without momentum takes no step.
    """

    def reference(self, epoch: int) -> tuple[Adapter, ...]:
        """Return what the epoch began with."""
        return (self._adapter.part(range(self._begin(epoch))),) if epoch else ()

    def end_epoch(self, epoch: int) -> bool:
        """Extrapolate."""
        momentum = self._parameters.get("momentum", 0.0)
        for own in range(epoch + 1):
            age = epoch - own
            grown = sum(momentum**k for k in range(age + 2)) / sum(momentum**k for k in range(age + 1))
            self._scale(self._learning(own), grown)
        return True

    def _learning(self, epoch: int) -> range:
        return range(self._begin(epoch), self._begin(epoch + 1))

    def _begin(self, epoch: int) -> int:
        return self._rank * min(epoch, self._epochs) // self._epochs


class Controls(Whole):
    """A quarter of the ranks acts on liked answers, a quarter on disliked ones, the rest on all.

    Two controls and what they control (Xue et al. 2023, arXiv:2310.00819). In the first half of the epochs
    the controls learn alone, then all does. What is served is the liked control and the rest.
    """

    together = False

    @property
    def served(self) -> Adapter:
        """The liked control and what both share."""
        return self._adapter.part([*self._of(liked=True), *self._shared])

    def on(self, wanted: Sequence[float]) -> list[Adapter]:
        """Return for each text its control with what both share."""
        liked, other = self.served, self._adapter.part([*self._of(liked=False), *self._shared])
        return [liked if want > 0 else other for want in wanted]

    def end(self) -> None:
        """Leave the disliked control out; its ranks remain, and do nothing."""
        self._scale(self._of(liked=False), 0.0)

    def _of(self, *, liked: bool) -> range:
        size = max(1, self._rank // 4)
        return range(size) if liked else range(size, 2 * size)

    @property
    def _shared(self) -> range:
        return range(2 * len(self._of(liked=True)), self._rank)

    def _learning(self, epoch: int) -> range:
        return range(self._shared.start if 2 * epoch < self._epochs else self._rank)


WAYS: Mapping[str, type[Whole]] = {"whole": Whole, "iterations": Iterations, "controls": Controls}
