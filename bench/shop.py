"""Clicks and facts of Amazon-Book's shape, made up: the same ones each time.

70,679 users, 24,915 items, 113,487 entities with items, 39 relations, 2,557,746 facts and 847,733 interactions.
Planted: items are of 500 kinds, most of a user's are of three of them, and most facts of an item are about what
its kind is about.
"""

import random

USERS, ITEMS, ENTITIES, RELATIONS, FACTS, INTERACTIONS = 70_679, 24_915, 113_487, 39, 2_557_746, 847_733
KINDS = 500


def skewed(draw, n):
    """A number below n, small ones more often."""
    return int(n * draw.random() ** 2)


def write(folder):
    """Clicks and facts as tables."""
    draw = random.Random(1)
    others = ENTITIES - ITEMS
    with open(folder / "clicks.csv", "w", encoding="utf-8") as out:
        out.write("user,item\n")
        pairs = set()
        while len(pairs) < INTERACTIONS:
            # Every user and item has one at least.
            user = len(pairs) % USERS if len(pairs) < USERS else skewed(draw, USERS)
            kind = (user * 7 + draw.randrange(3) * 131) % KINDS
            item = kind + KINDS * skewed(draw, ITEMS // KINDS) if draw.random() < 0.8 else draw.randrange(ITEMS)
            pairs.add((user, min(item, ITEMS - 1)))
        out.writelines(f"u{user},i{item}\n" for user, item in sorted(pairs))
    with open(folder / "facts.tsv", "w", encoding="utf-8") as out:
        out.write("head\trelation\ttail\n")
        facts = set()
        while len(facts) < FACTS:
            place = len(facts)
            head = place % ENTITIES if place < ENTITIES else skewed(draw, ENTITIES)
            about = head % KINDS if draw.random() < 0.7 else draw.randrange(KINDS)
            tail = ITEMS + (about + KINDS * skewed(draw, others // KINDS)) % others
            facts.add((head, skewed(draw, RELATIONS), tail))
        name = lambda entity: f"i{entity}" if entity < ITEMS else f"e{entity}"
        out.writelines(f"{name(head)}\tr{relation}\t{name(tail)}\n" for head, relation, tail in sorted(facts))


def words(folder):
    """What an import is told of them."""
    return [str(folder / "facts.tsv"), "--interactions", str(folder / "clicks.csv"), "--split", "per-user:80/10/10"]
