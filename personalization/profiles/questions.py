"""The questions of the survey: what a person prefers, who they are, how they use language models.

Knows nothing of answers or pages. What is asked, and the names of the attributes, follow PRISM (Kirk et
al. 2024, arXiv:2404.16019); the wording is ours. Names are stored with people and never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["slider", "long_text", "choice", "many", "private_text"]
NOT_SAID = "prefer-not-to-say"


@dataclass(frozen=True, slots=True)
class Option:
    """One answer to choose."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    `slider` is 0 to 100 and may stay untouched; `private_text` is a short text that may be declined;
    every demographic `choice` ends in "prefer not to say". `limit` is in characters. Where
    `asks_other` is set, the answer "other" takes a text of its own.
    """

    name: str
    kind: Kind
    label: str
    help: str = ""
    options: tuple[Option, ...] = ()
    limit: int = 0
    asks_other: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Questions under one heading."""

    key: str
    label: str
    about: str
    questions: tuple[Question, ...]


def _slider(name: str, label: str, *, asks_other: bool = False) -> Question:
    return Question(f"preferences.{name}", "slider", label, limit=200, asks_other=asks_other)


def _options(**labels: str) -> tuple[Option, ...]:
    return tuple(Option(key.replace("_", "-"), label) for key, label in labels.items())


def _demographic(name: str, label: str, **labels: str) -> Question:
    options = (*_options(**labels), Option(NOT_SAID, "Prefer not to say"))
    return Question(f"demographics.{name}", "choice", label, options=options)


PREFERENCES = Section(
    "preferences",
    "What makes an answer good",
    "How important is it to you that an assistant … Leave a slider alone where you have no opinion; "
    "untick “counts” to take an answer back.",
    (
        _slider("values", "… shares my values or my cultural point of view"),
        _slider("creativity", "… gives creative and inspiring answers"),
        _slider("fluency", "… writes well and coherently"),
        _slider("factuality", "… gives factual, informative answers"),
        _slider("diversity", "… sums up several viewpoints or ways to see the world"),
        _slider("safety", "… gives safe answers that put neither me nor others at risk"),
        _slider("personalisation", "… learns from our conversations and feels made for me"),
        _slider("helpfulness", "… helps with exactly what I asked"),
        _slider("other", "… does something else that matters to me", asks_other=True),
    ),
)

OWN_WORDS = Section(
    "own_words",
    "In your own words",
    "Leave out names, addresses and anything else that identifies you or other people.",
    (
        Question(
            "system_string",
            "long_text",
            "How should the assistant behave?",
            "Think of it as instructing an assistant that always follows your principles, whatever the "
            "task: which traits should it show, what should it never do, and does that change with the "
            "occasion, say between work and storytelling? Two to five sentences. This goes into your "
            "system message.",
            limit=1500,
        ),
        Question(
            "self_description",
            "long_text",
            "What matters to you in life?",
            "Your values, beliefs or principles; for instance what you would teach a child, or what you "
            "look for in a friend. There is no right or wrong. Two to five sentences. This stays in your "
            "profile and is not sent to the model.",
            limit=1500,
        ),
    ),
)

USE = Section(
    "use",
    "How you use such models",
    "",
    (
        Question(
            "frequency",
            "choice",
            "How often do you use AI language models?",
            options=_options(
                daily="Every day",
                weekly="Every week",
                several_times_a_month="More than once a month",
                monthly="About once a month",
                rarely="Less than once a month",
                never="Never until now",
            ),
        ),
        Question(
            "use_cases",
            "many",
            "What do you use them for?",
            "Tick all that apply.",
            limit=200,
            asks_other=True,
            options=_options(
                homework_assistance="Homework and study",
                research="Research, checking facts, overviews",
                source_suggestions="Finding sources and things to read",
                professional_work="Drafting, editing, ideas for work",
                creative_writing="Stories, poems, creative writing",
                casual_conversation="Chatting, small talk, jokes",
                personal_recommendations="Books, music and films",
                daily_productivity="To-do lists, planning the day",
                technical_or_programming_help="Programming and technical help",
                travel_guidance="Travel",
                lifestyle_and_hobbies="Cooking, crafts, home, hobbies",
                well_being_guidance="Exercise and well-being",
                medical_guidance="Questions of health",
                financial_guidance="Money and investing",
                games="Games, riddles, puzzles",
                historical_or_news_insight="History and the news",
                relationship_advice="Family, friends, partners",
                language_learning="Learning languages, translation",
                other="Something else",
            ),
        ),
    ),
)

DEMOGRAPHICS = Section(
    "demographics",
    "About you",
    "All of it is optional and can be declined. It helps to see for whom alignment works; it never goes "
    "into the system message and nothing is trained on it.",
    (
        _demographic(
            "age",
            "Age",
            **{
                "18-24": "18 to 24",
                "25-34": "25 to 34",
                "35-44": "35 to 44",
                "45-54": "45 to 54",
                "55-64": "55 to 64",
                "65+": "65 or older",
            },
        ),
        _demographic(
            "gender", "Gender", female="Female", male="Male", non_binary="Non-binary or third gender"
        ),
        _demographic(
            "education",
            "Highest education completed",
            some_primary="Some primary school",
            primary="Primary school",
            some_secondary="Some secondary school",
            secondary="Secondary school",
            vocational="Vocational training",
            some_university="Some university",
            bachelor="Bachelor's degree",
            graduate="Graduate or professional degree",
        ),
        _demographic(
            "employment",
            "Employment in the last three months",
            full_time="Working full-time",
            part_time="Working part-time",
            student="Student",
            seeking="Unemployed, seeking work",
            not_seeking="Unemployed, not seeking work",
            homemaker="Homemaker or stay-at-home parent",
            retired="Retired",
        ),
        _demographic(
            "marital",
            "Marital status",
            never_married="Never married",
            married="Married",
            divorced="Divorced or separated",
            widowed="Widowed",
        ),
        _demographic(
            "english_proficiency",
            "Proficiency in English",
            native="Native speaker",
            fluent="Fluent",
            advanced="Advanced",
            intermediate="Intermediate",
            basic="Basic",
        ),
        Question("demographics.religion", "private_text", "Religion", limit=80),
        Question("demographics.ethnicity", "private_text", "Ethnicity", limit=80),
        Question("demographics.country", "private_text", "Country you live in", limit=80),
    ),
)

SECTIONS = (PREFERENCES, OWN_WORDS, USE, DEMOGRAPHICS)
