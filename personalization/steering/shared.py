"""A warm start: where a taste is expected to lie before its person has rated much.

Two sources, each worth PART_PROMPTS rated prompts until the person's own say more:

- *stated*: the value directions that the person's stated values point along. Nobody else is in it.
- *common*: what people who agreed to it like on average, on a few axes that are the model's own and nobody's
  (`axes_of`), with Gaussian noise, so that hardly anything of what one of them likes can be told from it: it
  is mu-GDP (Dong, Roth and Su 2022, arXiv:1905.02383) for one person's taste in the place of another's,

    common = mean(A taste_i) + N(0, s^2 I),     s = 2 / (n mu),     AUC of any attack <= Phi(mu / sqrt(2))

  for each release; T of them together are mu sqrt(T). That is of what a member likes: n and the base model
  are told. As n grows the noise goes; below FEWEST_PEOPLE it would drown what is common.

The closed form of `personalization.steering.instant` adds them as if they were prompts. Knows nothing of
torch, models or rows: numpy only. `benchmarks.warm_start` measures what it gains and what an attack tells.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from personalization.steering.vector_file import NAME, read_vectors
from personalization.values import effects

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

AXES = 8  # more take in more noise; four did about as well
PRIVACY = 0.15  # mu: whoever knows everybody else's taste has an AUC of at most 0.54
FEWEST_PEOPLE = 300
# The weight of each source, in prompts. From 1 to 4 did about alike on the people of `benchmarks.people`.
PART_PROMPTS = 2.0


@dataclass(frozen=True, slots=True)
class Common:
    """What people like on average, with noise: (layers * hidden,), shorter than 1 the less they agree."""

    mean: Floats = field(repr=False)
    people: int


@dataclass(frozen=True, slots=True)
class Start:
    """What is expected of one person: the sum of its sources (layers * hidden,), and what they are worth."""

    direction: Floats = field(repr=False)
    worth: float  # in rated prompts; a source that is short, as of a crowd that hardly agrees, for less


def start_of(common: Floats | None, stated: Floats | None) -> Start | None:
    """Return the start of whoever has one of the two sources, or both; None of nobody."""
    sources = [each for each in (common, stated) if each is not None]
    if not sources:
        return None
    worth = PART_PROMPTS * sum(min(1.0, float(np.linalg.norm(each))) for each in sources)
    return Start(np.sum(sources, axis=0), worth)


def stated_of(strengths: Mapping[str, float], directions: Mapping[str, Floats]) -> Floats | None:
    """Return where stated values point, in unit length; None where none of them has a direction.

    `strengths` says how much each value matters, above 0; `directions` are those of `read_directions`.
    """
    known = [weight * directions[key] for key, weight in sorted(strengths.items()) if key in directions]
    total = np.sum(known, axis=0) if known else np.zeros(1)
    return unit(total) if np.linalg.norm(total) > 1e-9 else None


def axes_of(directions: Mapping[str, Floats]) -> Floats:
    """Return the main axes of a model's value directions, orthonormal (at most AXES, layers * hidden).

    They are made of the model's own samples: no person's data is in them. Raises ValueError without any.
    """
    if not directions:
        raise ValueError("A common taste takes value directions: run manage.py values build.")
    _, sizes, axes = np.linalg.svd(
        np.stack([directions[key] for key in sorted(directions)]), full_matrices=False
    )
    found: Floats = axes[:AXES][sizes[:AXES] > 1e-6]
    return found


def on_axes(taste: Floats, axes: Floats) -> Floats:
    """Return where a taste (layers * hidden,), counted in unit length, lies on the axes (axes,)."""
    found: Floats = axes @ unit(taste)
    return found


def share(
    places: Sequence[Floats], axes: Floats, rng: np.random.Generator, *, privacy: float = PRIVACY
) -> Common:
    """Return the common taste of people's places on the axes (`on_axes`).

    Every call draws other noise and costs privacy anew. Raises ValueError for fewer than FEWEST_PEOPLE.
    """
    if len(places) < FEWEST_PEOPLE:
        raise ValueError(f"{len(places)} people; a common taste takes {FEWEST_PEOPLE}.")
    noise = rng.normal(0.0, noise_of(len(places), privacy), len(axes))
    return Common((np.mean(places, axis=0) + noise) @ axes, len(places))


def noise_of(people: int, privacy: float = PRIVACY) -> float:
    """Return the noise's standard deviation on each axis: two unit tastes differ by at most 2."""
    return 2.0 / (people * privacy)


def attack_bound(privacy: float = PRIVACY) -> float:
    """Return the AUC (0.5 to 1) that no attack on one release exceeds, whatever else the attacker knows."""
    return NormalDist().cdf(privacy / 2**0.5)


def guess_bound(privacy: float = PRIVACY, *, releases: int = 1) -> float:
    """Return the share of right guesses between two tastes of a member that nobody exceeds; 0.5 is chance."""
    return NormalDist().cdf(privacy * releases**0.5 / 2)


def read_directions(
    folder: Path, layers: Sequence[int], *, keys: Container[str] | None = None
) -> dict[str, Floats]:
    """Return a model's value directions at these layers by value, each layer alike and in unit length.

    `folder` is a model's folder of value directions; `keys` are the values that are wanted, or all. A value
    without a vector at all of these layers is left out, as is one whose file cannot be read.
    """
    found = {}
    for key in effects.read(folder):
        place = folder / effects.folder_name(key)
        if (keys is not None and key not in keys) or not (place / NAME).exists():
            continue
        try:
            vectors = read_vectors(place)
        except (ValueError, KeyError) as error:
            log.warning("the direction of %s is not used: %s", key, error)
            continue
        names = [f"layer.{layer}.output" for layer in layers]
        if all(name in vectors and np.isfinite(vectors[name]).all() for name in names):
            found[key] = unit(np.concatenate([unit(vectors[name].astype(np.float64)) for name in names]))
    return found


def unit(row: Floats) -> Floats:
    """Return a row in unit length; one without any stays zero."""
    found: Floats = row / max(float(np.linalg.norm(row)), 1e-12)
    return found
