"""Compares gossamer's filtered ranks with ranks that PyKEEN computes from the same vectors.

What it proves: scoring, the choice of candidates, the filter (train + valid +
test) and the handling of ties in gossamer's evaluation agree with an
independent implementation, triple by triple and not only in the mean. The
scores come from PyKEEN's interactions (float64 unless --float32), the filter
and the ranks from PyKEEN's evaluation code.

How to run:

    python3 -m venv venv
    venv/bin/pip install torch pykeen safetensors numpy
    venv/bin/python pykeen_ranks.py --tables RUN/tables.safetensors \\
        --entities entities.txt --relations relations.txt \\
        --data DATA --ranks ranks.tsv [--limit 500]

DATA holds train.txt, valid.txt and test.txt (head, relation, tail, separated by
tabs). The ranks file has the header

    head  relation  tail  side  rank_optimistic  rank_pessimistic  rank

(tab-separated; names; `side` is the position that was predicted, head or tail;
`rank` is the mean of the other two).

Every difference is listed with the candidates that must have changed sides of
the target to explain it: those nearest to the target in float64. A difference
is within tolerance when each of them is within --tolerance of the target's
float64 score, as happens when float32 rounding reorders near-equal scores.
Exit status: 0 if all ranks are equal or all differences are within tolerance,
1 otherwise (also for rows that are missing, unknown or inconsistent).

RotatE: PyKEEN takes one Euclidean norm over all complex coordinates, gossamer
sums their moduli. PyKEEN's interaction is therefore applied to each coordinate
by itself, where the norm is the modulus, and the results are added.

Versions used: Python 3.11, torch 2.15.0, pykeen 1.11.1, safetensors
0.8.0, numpy 2.4.6.
"""

import argparse
import csv
import math
import pathlib
import random
import sys

import torch
from pykeen.evaluation.evaluator import create_sparse_positive_filter_, filter_scores_
from pykeen.evaluation.ranks import Ranks
from pykeen.nn.modules import (
    ComplExInteraction,
    DistMultInteraction,
    RotatEInteraction,
    TransEInteraction,
)
from pykeen.utils import prepare_filter_triples
from safetensors import safe_open

COLUMNS = ["head", "relation", "tail", "side", "rank_optimistic", "rank_pessimistic", "rank"]
MEMORY_PER_SLICE = 128 * 2**20  # bytes of one broadcast intermediate


# ---------------------------------------------------------------- input


def read_names(path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    names = [line.removesuffix("\r") for line in text.split("\n")]
    if names and names[-1] == "":
        names.pop()
    ids = {name: i for i, name in enumerate(names)}
    if len(ids) != len(names):
        sys.exit(f"{path}: a name occurs twice")
    return names, ids


def read_triples(path, entity_ids, relation_ids):
    """Triples as ids, and how many were left out for a name without a vector."""
    triples, unknown = [], 0
    with open(path, encoding="utf-8", newline="") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\r\n")
            if not line:
                continue
            fields = line.split("\t")
            if len(fields) < 3:
                sys.exit(f"{path}:{number}: fewer than three fields")
            h, r, t = fields[:3]
            if h in entity_ids and r in relation_ids and t in entity_ids:
                triples.append((entity_ids[h], relation_ids[r], entity_ids[t]))
            else:
                unknown += 1
    if unknown:
        print(f"{path}: {unknown} triples with a name that has no vector, left out")
    return triples


def read_ranks(path):
    """(head, relation, tail, side) -> list of (optimistic, pessimistic, rank), names as in the file."""
    rows = {}
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = next(reader, [])
        if not set(COLUMNS) <= set(header):
            sys.exit(f"{path}: the header must name {', '.join(COLUMNS)}")
        at = [header.index(column) for column in COLUMNS]
        for row in reader:
            if not row:
                continue
            h, r, t, side, optimistic, pessimistic, rank = (row[i] for i in at)
            if side not in ("head", "tail"):
                sys.exit(f"{path}:{reader.line_num}: side {side!r}")
            value = (float(optimistic), float(pessimistic), float(rank))
            rows.setdefault((h, r, t, side), []).append(value)
    return rows


# ---------------------------------------------------------------- scores


class Scorer:
    """PyKEEN scores of a batch of queries against all entities, in slices of bounded size."""

    def __init__(self, model, dim, reciprocal, n_relations, entity, relation, dtype):
        self.model, self.reciprocal, self.n_relations = model, reciprocal, n_relations
        self.dim = dim
        self.entity = self.entity_rows(entity.to(dtype))
        self.relation = self.relation_rows(relation.to(dtype))
        self.interaction = {
            "transe": lambda: TransEInteraction(p=1),
            "transe-l2": lambda: TransEInteraction(p=2),
            "distmult": DistMultInteraction,
            "complex": ComplExInteraction,
            "rotate": RotatEInteraction,
        }[model]()

    def entity_rows(self, x):
        """Complex rows are stored as [all real parts | all imaginary parts]."""
        if self.model in ("complex", "rotate"):
            return torch.complex(x[:, : self.dim].contiguous(), x[:, self.dim :].contiguous())
        return x

    def relation_rows(self, x):
        if self.model == "complex":
            return self.entity_rows(x)
        if self.model == "rotate":  # phases
            return torch.polar(torch.ones_like(x), x)
        return x

    def interact(self, h, r, t):
        if self.model == "rotate":
            one_each = self.interaction(h.unsqueeze(-1), r.unsqueeze(-1), t.unsqueeze(-1))
            return one_each.sum(-1)
        return self.interaction(h, r, t)

    @torch.no_grad()
    def scores(self, batch, side):
        """Scores of every entity at `side` of each triple; shape (batch, entities)."""
        h, r, t = batch.unbind(1)
        known = self.entity[h if side == "tail" else t].unsqueeze(1)
        if side == "head" and self.reciprocal:
            r = r + self.n_relations
        relation = self.relation[r].unsqueeze(1)
        per_candidate = len(batch) * self.dim * self.entity.element_size()
        width = max(1, MEMORY_PER_SLICE // per_candidate)
        out = []
        for candidates in self.entity.split(width):
            candidates = candidates.unsqueeze(0)
            if side == "tail" or self.reciprocal:
                out.append(self.interact(known, relation, candidates))
            else:
                out.append(self.interact(candidates, relation, known))
        return torch.cat(out, dim=1)


def filtered(scores, batch, side, known_triples):
    """Other true answers become NaN; returns the target's scores as well."""
    column = {"head": 0, "tail": 2}[side]
    rows, targets = torch.arange(len(batch)), batch[:, column]
    positives, _ = create_sparse_positive_filter_(
        hrt_batch=batch, all_pos_triples=known_triples, filter_col=column
    )
    target_scores = scores[rows, targets].clone()
    scores = filter_scores_(scores=scores, filter_batch=positives)
    scores[rows, targets] = target_scores
    return scores, target_scores


# ---------------------------------------------------------------- differences


def explain(scores, target, optimistic, pessimistic):
    """Which candidates must have changed sides for these ranks, nearest first.

    `scores` are filtered float64 scores of one query. Returns a list of
    (candidate, score - target score); None if no order of the candidates gives
    such ranks.
    """
    gaps = (scores - scores[target]).clone()
    gaps[target] = math.nan
    candidates = torch.isfinite(gaps).nonzero().squeeze(1)
    gaps = gaps[candidates]
    n = len(candidates)
    above, not_below = optimistic - 1, pessimistic - 1
    if not (0 <= above <= not_below <= n and above == int(above) and not_below == int(not_below)):
        return None
    flipped = {}
    for wanted, strict in ((int(above), True), (int(not_below), False)):
        inside = gaps > 0 if strict else gaps >= 0
        change = wanted - int(inside.sum())
        pool = (~inside if change > 0 else inside).nonzero().squeeze(1)
        order = gaps[pool].abs().argsort()[: abs(change)]
        for i in pool[order].tolist():
            flipped[int(candidates[i])] = float(gaps[i])
    return sorted(flipped.items(), key=lambda x: abs(x[1]))


def show(x):
    return f"{x:g}" if x != int(x) else str(int(x))


def show_ranks(values):
    optimistic, pessimistic, rank = values
    return f"{show(rank)} (optimistic {show(optimistic)}, pessimistic {show(pessimistic)})"


# ---------------------------------------------------------------- main


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", required=True, help="tables.safetensors of the run")
    parser.add_argument("--entities", required=True, help="entity names in id order, one per line")
    parser.add_argument("--relations", required=True, help="relation names in id order")
    parser.add_argument("--data", required=True, help="folder with train.txt valid.txt test.txt")
    parser.add_argument("--ranks", required=True, help="gossamer's ranks, tab-separated")
    parser.add_argument("--limit", type=int, help="compare a random sample of N test triples")
    parser.add_argument("--seed", type=int, default=0, help="seed of that sample")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="on float64 scores")
    parser.add_argument("--float32", action="store_true", help="score in float32")
    parser.add_argument("--batch-size", type=int, default=32, help="triples per batch")
    parser.add_argument("--threads", type=int, help="torch threads")
    parser.add_argument("--show", type=int, default=10, help="candidates named per difference")
    return parser.parse_args()


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)

    entity_names, entity_ids = read_names(args.entities)
    relation_names, relation_ids = read_names(args.relations)
    with safe_open(args.tables, framework="pt") as tables:
        metadata = tables.metadata() or {}
        entity, relation = tables.get_tensor("entity"), tables.get_tensor("relation")
    model, dim = metadata["model"], int(metadata["dim"])
    reciprocal = {"true": True, "false": False}[metadata["reciprocal"]]
    widths = {
        "transe": (dim, dim),
        "transe-l2": (dim, dim),
        "distmult": (dim, dim),
        "complex": (2 * dim, 2 * dim),
        "rotate": (2 * dim, dim),
    }
    if model not in widths:
        sys.exit(f"unknown model {model!r}")
    n_relation_rows = len(relation_names) * (2 if reciprocal else 1)
    for name, table, shape in (
        ("entity", entity, (len(entity_names), widths[model][0])),
        ("relation", relation, (n_relation_rows, widths[model][1])),
    ):
        if tuple(table.shape) != shape:
            sys.exit(f"{name} table: shape {tuple(table.shape)}, expected {shape}")
        if not torch.isfinite(table).all():
            sys.exit(f"{name} table: a value is not finite")

    data = pathlib.Path(args.data)
    splits = {
        split: read_triples(data / f"{split}.txt", entity_ids, relation_ids)
        for split in ("train", "valid", "test")
    }
    as_tensor = lambda x: torch.tensor(x, dtype=torch.long).reshape(-1, 3)  # noqa: E731
    known_triples = prepare_filter_triples(
        mapped_triples=as_tensor(splits["test"]),
        additional_filter_triples=[as_tensor(splits["train"]), as_tensor(splits["valid"])],
    )

    ranks = read_ranks(args.ranks)
    test = sorted(set(splits["test"]))
    in_test = {(entity_names[h], relation_names[r], entity_names[t]) for h, r, t in test}
    strangers = sorted({key[:3] for key in ranks} - in_test)
    for triple in strangers[:10]:
        print("not a test triple, but ranked:", "\t".join(triple))
    if args.limit is not None and args.limit < len(test):
        test = sorted(random.Random(args.seed).sample(test, args.limit))

    def scorer(dtype):
        return Scorer(model, dim, reciprocal, len(relation_names), entity, relation, dtype)

    reference = scorer(torch.float32 if args.float32 else torch.float64)
    exact = scorer(torch.float64) if args.float32 else reference

    print(
        f"{model}, dim {dim}, reciprocal {str(reciprocal).lower()}, {len(entity_names)} entities, "
        f"{len(relation_names)} relations, {len(test)} test triples, "
        f"{'float32' if args.float32 else 'float64'} reference"
    )
    compared = equal = within = beyond = missing = inconsistent = 0
    for batch in as_tensor(test).split(args.batch_size):
        for side, column in (("tail", 2), ("head", 0)):
            scores, target_scores = filtered(
                reference.scores(batch, side), batch, side, known_triples
            )
            ours = Ranks.from_scores(true_score=target_scores.unsqueeze(1), all_scores=scores)
            for i, (h, r, t) in enumerate(batch.tolist()):
                names = (entity_names[h], relation_names[r], entity_names[t])
                want = (float(ours.optimistic[i]), float(ours.pessimistic[i]), float(ours.realistic[i]))
                found = ranks.get((*names, side))
                if found is None:
                    missing += 1
                    if missing <= 10:
                        print("not ranked:", "\t".join(names), side)
                    continue
                for got in found:
                    compared += 1
                    if abs(got[2] - (got[0] + got[1]) / 2) > 1e-6 * got[2]:
                        inconsistent += 1
                        print("rank is not the mean:", "\t".join(names), side, show_ranks(got))
                        continue
                    if got[:2] == want[:2]:
                        equal += 1
                        continue
                    row = scores[i]
                    if exact is not reference:
                        one = batch[i : i + 1]
                        row = filtered(exact.scores(one, side), one, side, known_triples)[0][0]
                    target = int(batch[i, column])
                    flips = explain(row, target, got[0], got[1])
                    fine = flips is not None and all(abs(g) <= args.tolerance for _, g in flips)
                    within, beyond = within + fine, beyond + (not fine)
                    print("difference:", "\t".join(names), side)
                    print(f"  gossamer {show_ranks(got)}")
                    print(f"  pykeen   {show_ranks(want)}")
                    if flips is None:
                        print("  BEYOND TOLERANCE: no order of the candidates gives such ranks")
                        continue
                    print(
                        f"  {'within tolerance' if fine else 'BEYOND TOLERANCE'}: {len(flips)} candidates "
                        f"change sides of the target, whose float64 score is {float(row[target]):.9g}"
                    )
                    if len(flips) > args.show:
                        print(f"    ({len(flips) - args.show} nearer ones not listed)")
                    for candidate, gap in flips[max(0, len(flips) - args.show) :]:
                        verdict = "within" if abs(gap) <= args.tolerance else "beyond"
                        print(f"    {entity_names[candidate]}: {gap:+.3e} from the target, {verdict}")

    print(
        f"compared {compared}, equal {equal}, different within tolerance {within}, "
        f"different beyond tolerance {beyond}"
    )
    if missing or strangers or inconsistent:
        print(
            f"not ranked {missing}, ranked but not test triples {len(strangers)}, "
            f"rank not the mean {inconsistent}"
        )
    ok = compared > 0 and not (beyond or missing or strangers or inconsistent)
    print("OK" if ok else "FAILED")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
