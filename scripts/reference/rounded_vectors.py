"""Writes random vectors on which float32 sums are exact.

What it is for: every value is a multiple of 1/64 in [-1, 1], so that sums of
such values, and of products of two or three of them, are exact in float32 as
long as they stay small: TransE scores below 2^18, DistMult and ComplEx scores
whose partial sums stay below 2^6. On such a model any order of summation gives
the same scores, and ranks must agree with a float64 reference to the last tie.
(The square root of TransE-L2 and the phases of RotatE round all the same.)

How to run:

    python3 -m venv venv
    venv/bin/pip install torch pykeen safetensors numpy
    venv/bin/python rounded_vectors.py --entities entities.txt --relations relations.txt \\
        --entity-width 32 --relation-width 32 --reciprocal --out VECTORS

Writes entity.npy and relation.npy (float32, one row per name; with --reciprocal
the relation table has a second row for each name, after all first rows) and,
next to them, entities.txt and relations.txt with the names in row order.
--duplicates 0.1 gives a tenth of the entities the vector of another entity,
which makes exact ties certain.

Versions used: Python 3.11, numpy 2.4.6.
"""

import argparse
import pathlib

import numpy as np


def read_names(path):
    lines = pathlib.Path(path).read_text(encoding="utf-8").split("\n")
    names = [line.removesuffix("\r") for line in lines]
    if names and names[-1] == "":
        names.pop()
    if len(set(names)) != len(names):
        raise SystemExit(f"{path}: a name occurs twice")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entities", required=True, help="entity names, one per line")
    parser.add_argument("--relations", required=True, help="relation names, one per line")
    parser.add_argument("--entity-width", type=int, required=True)
    parser.add_argument("--relation-width", type=int, required=True)
    parser.add_argument("--reciprocal", action="store_true", help="two relation rows per name")
    parser.add_argument("--duplicates", type=float, default=0.0, help="share of repeated entity rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, help="folder to write to")
    args = parser.parse_args()

    entities, relations = read_names(args.entities), read_names(args.relations)
    rng = np.random.default_rng(args.seed)

    def table(rows, width):
        return (rng.integers(-64, 65, size=(rows, width)) / 64).astype(np.float32)

    entity = table(len(entities), args.entity_width)
    relation = table(len(relations) * (2 if args.reciprocal else 1), args.relation_width)
    copies = int(len(entities) * args.duplicates)
    if copies:
        order = rng.permutation(len(entities))
        entity[order[:copies]] = entity[rng.choice(order[copies:], size=copies)]

    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "entity.npy", entity)
    np.save(out / "relation.npy", relation)
    for file, names in (("entities.txt", entities), ("relations.txt", relations)):
        (out / file).write_text("".join(name + "\n" for name in names), encoding="utf-8")
    print(f"entity {entity.shape}, relation {relation.shape}, float32, in {out}")


if __name__ == "__main__":
    main()
