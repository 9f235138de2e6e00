"""General ability: does the model still know what it knew? Simple questions with one right answer of four.

Knows nothing of people or of artifacts: whatever acts on the model while it is asked is what is measured.
The questions were written for this project, easy enough that a small model knows most of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from personalization.models.base import BaseModel
from personalization.models.continuations import continuation_logps
from personalization.models.interventions import Interventions, Row
from personalization.models.prompts import encode_text
from personalization.statistics import Estimate, clustered_mean

# The right answer stands first here; the model is never shown the others, so their order says nothing.
QUESTIONS: tuple[tuple[str, tuple[str, str, str, str]], ...] = (
    ("What is the capital of France?", ("Paris", "Lyon", "Madrid", "Berlin")),
    ("What is the capital of Japan?", ("Tokyo", "Osaka", "Seoul", "Beijing")),
    ("Which planet is known as the red planet?", ("Mars", "Venus", "Jupiter", "Saturn")),
    ("Which planet is the largest in our solar system?", ("Jupiter", "Earth", "Mars", "Mercury")),
    ("What do bees make?", ("Honey", "Milk", "Silk", "Bread")),
    ("Which animal is known to bark?", ("A dog", "A cow", "A fish", "A snake")),
    ("What gas do people need to breathe?", ("Oxygen", "Helium", "Methane", "Neon")),
    ("What is frozen water called?", ("Ice", "Steam", "Sand", "Oil")),
    ("How many days are in a week?", ("Seven", "Five", "Nine", "Twelve")),
    ("How many months are in a year?", ("Twelve", "Ten", "Eight", "Fifteen")),
    ("How many legs does a spider have?", ("Eight", "Six", "Four", "Ten")),
    ("What is two plus three?", ("Five", "Six", "Four", "Eight")),
    ("What is ten minus four?", ("Six", "Seven", "Three", "Nine")),
    ("Which season comes after winter?", ("Spring", "Autumn", "Summer", "Monsoon")),
    ("Which day comes after Monday?", ("Tuesday", "Sunday", "Friday", "Saturday")),
    ("What colour is the sky on a clear day?", ("Blue", "Green", "Brown", "Purple")),
    ("What colour do you get from mixing blue and yellow?", ("Green", "Orange", "Red", "Black")),
    ("Which organ pumps blood through the body?", ("The heart", "The liver", "The stomach", "The skin")),
    ("Which sense do we use our ears for?", ("Hearing", "Smell", "Taste", "Sight")),
    ("What do plants need to grow?", ("Sunlight", "Plastic", "Petrol", "Paint")),
    ("Who wrote Romeo and Juliet?", ("William Shakespeare", "Charles Dickens", "Mark Twain", "Homer")),
    ("Who developed the theory of relativity?", ("Albert Einstein", "Isaac Newton", "Marie Curie", "Plato")),
    ("On which continent is Egypt?", ("Africa", "Europe", "Asia", "South America")),
    ("On which continent is Brazil?", ("South America", "Africa", "Europe", "Australia")),
    ("Which ocean is between Europe and America?", ("The Atlantic", "The Pacific", "The Arctic", "The Nile")),
    ("What is the chemical symbol for water?", ("H2O", "CO2", "NaCl", "O2")),
    ("Which metal is attracted by a magnet?", ("Iron", "Gold", "Copper", "Silver")),
    ("Which instrument has black and white keys?", ("The piano", "The violin", "The drum", "The flute")),
    ("What do you use to write on paper?", ("A pen", "A spoon", "A pillow", "A hammer")),
    ("Where do fish live?", ("In water", "In trees", "In the desert", "In the clouds")),
    ("What is the opposite of hot?", ("Cold", "Tall", "Loud", "Soft")),
    ("What is the opposite of always?", ("Never", "Often", "Soon", "Here")),
    ("Which of these is a fruit?", ("An apple", "A carrot", "A potato", "An onion")),
    ("Which meal do people eat in the morning?", ("Breakfast", "Dinner", "Supper", "Dessert")),
    ("What does a thermometer measure?", ("Temperature", "Weight", "Distance", "Time")),
    ("What does a clock show?", ("Time", "Weight", "Speed", "Sound")),
    ("Which language is spoken in Spain?", ("Spanish", "Russian", "Japanese", "Arabic")),
    ("What is the currency of the United States?", ("The dollar", "The euro", "The yen", "The pound")),
    ("Which is the tallest animal?", ("The giraffe", "The dog", "The mouse", "The sheep")),
    ("What do cows drink when they are young?", ("Milk", "Coffee", "Juice", "Soup")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ability:
    """Shares of questions answered rightly, 0 to 1, and the paired change with its interval."""

    base: float
    artifact: float
    change: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return asdict(self)


def measure_ability(
    base: BaseModel, interventions: Interventions, row: Row, before: Sequence[float], *, seed: int = 0
) -> Ability:
    """Return what `row` does to the share of right answers; the interval resamples questions.

    `before` are the base model's own (`right_answers`).
    """
    with interventions.everywhere(row):
        after = right_answers(base)
    gains = [mine - theirs for theirs, mine in zip(before, after, strict=True)]
    return Ability(
        sum(before) / len(before),
        sum(after) / len(after),
        clustered_mean(gains, range(len(gains)), seed=seed),
    )


@torch.no_grad()
def right_answers(base: BaseModel) -> list[float]:
    """Return 1 or 0 for each question: is the right answer the likeliest of the four?

    As plain text, not as a chat: in a chat a small model begins a sentence, and no single word is likely.
    """
    prompts = [encode_text(base, f"Question: {question}\nAnswer:") for question, _ in QUESTIONS]
    answers = [[encode_text(base, f" {answer}.") for answer in four] for _, four in QUESTIONS]
    sums = continuation_logps(base, prompts, answers).sum(dim=2)
    return (sums.argmax(dim=1) == 0).float().tolist()
