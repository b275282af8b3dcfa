"""Who gets it? Questions for the indirect object in plain English, for models of English.

Two people are named, one of them again as the giver, and the other one is the answer. Half of the
prompts are in the order ABBA, half BABA: the answer is named first, or second. The task is that of
Wang et al. (2022), "Interpretability in the wild"; sentences, names and things are our own. Read
`generate_prompts`.
"""

from __future__ import annotations

import random

from saeflow.prompts.prompt import Prompt

ORDERS = ("ABBA", "BABA")

NAMES = (
    "Adam", "Alice", "Amy", "Andrew", "Anna", "Ben", "Brian", "Carl", "Chris", "Claire", "Daniel",
    "David", "Diana", "Emily", "Emma", "Eric", "Frank", "George", "Grace", "Helen", "Henry", "Jack",
    "James", "Jane", "Jason", "Julia", "Karen", "Kate", "Kevin", "Laura", "Lisa", "Lucy", "Mark",
    "Martin", "Mary", "Max", "Michael", "Nancy", "Nick", "Oliver", "Paul", "Peter", "Rachel",
    "Robert", "Rose", "Ruth", "Sam", "Sarah", "Simon", "Sophie", "Steve", "Susan", "Thomas", "Tom",
    "Victoria", "William",
)  # fmt: skip
"""With a space before it, each is one token to GPT-2 and to GPT-NeoX."""

PLACES = (
    "airport", "bakery", "bank", "beach", "bridge", "café", "castle", "church", "cinema", "farm",
    "garden", "harbour", "hospital", "hotel", "kitchen", "lake", "library", "market", "museum",
    "office", "park", "river", "school", "station", "theatre", "village",
)  # fmt: skip

THINGS = (
    "apple", "basket", "book", "bottle", "box", "camera", "candle", "coat", "coin", "cup", "drink",
    "flower", "glove", "guitar", "hammer", "jacket", "key", "lamp", "letter", "map", "newspaper",
    "pencil", "photo", "ring", "rope", "sandwich", "ticket", "toy", "umbrella", "watch",
)  # fmt: skip

# No sentence begins with a name: with no space before it, that would be another token.
TEMPLATES = (
    "On the way to the {place}, {first} and {second} stopped for a moment, and {giver} handed"
    " {a_thing} to",
    "This time {first} and {second} met at the {place}. Silently {giver} passed {a_thing} to",
    "It was raining when {first} and {second} left the {place}, so {giver} offered {a_thing} to",
    "Last Sunday {first} and {second} cleaned the {place}. When they had finished, {giver} gave"
    " {a_thing} to",
    "While {first} and {second} were waiting near the {place}, {giver} showed {a_thing} to",
    "Everybody at the {place} knew {first} and {second}. One evening {giver} brought {a_thing} to",
    "Years ago {first} and {second} had met at the {place}, and that is why {giver} lent {a_thing}"
    " to",
    "After a long day at the {place}, {first} and {second} sat down, and {giver} threw {a_thing}"
    " to",
    "Because {first} and {second} both worked at the {place}, {giver} often carried {a_thing} to",
    "The door of the {place} closed behind {first} and {second}. Then {giver} returned {a_thing}"
    " to",
    "As {first} and {second} wanted to spend the morning at the {place}, {giver} sold {a_thing} to",
    "Together {first} and {second} walked around the {place}, until {giver} sent {a_thing} to",
)


def generate_prompts(n_prompts: int, seed: int) -> list[Prompt]:
    """Return prompts, each once; those with even numbers are ABBA, the others BABA.

    Parameters
    ----------
    n_prompts
        How many; there are more than twenty million.
    seed
        The same seed gives the same prompts, and fewer of them the first ones.
    """
    rng = random.Random(f"ioi {seed}")
    found: dict[str, Prompt] = {}
    while len(found) < n_prompts:
        prompt = _prompt(rng, ORDERS[len(found) % len(ORDERS)])
        found.setdefault(prompt.text, prompt)
    return list(found.values())


def _prompt(rng: random.Random, order: str) -> Prompt:
    receiver, giver = rng.sample(NAMES, 2)
    first, second = (receiver, giver) if order == "ABBA" else (giver, receiver)
    thing = rng.choice(THINGS)
    text = rng.choice(TEMPLATES).format(
        first=first,
        second=second,
        giver=giver,
        place=rng.choice(PLACES),
        a_thing=f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}",
    )
    return Prompt(text, receiver, sorted((receiver, giver)), ".", giver, order)
