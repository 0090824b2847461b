"""Golden training runs for gossamer, computed independently with PyTorch.

What it proves: one JSON per model (transe, transe-l2, distmult, complex,
rotate) holds, for every combination of objective, loss, regulariser and
optimiser listed in `cases`, the initial tables, ten training steps with their
losses, the gradient of the first step and the tables after the last step. The
gradients come from automatic differentiation in float64, and are checked here
against central finite differences, so a hand-written backward pass that
reproduces these numbers is right about scores, losses, regularisers and
optimisers alike.

Conventions that the definitions leave open: |x| has derivative 0 at 0 (initial
values are multiples of 1/64, so h + r - t is often exactly 0 in a coordinate of
the first step), and so have the Euclidean norm and the complex modulus;
negatives are a list, drawn with replacement, so that a repeated negative counts
twice and one that equals the target counts beside it. Each run is replayed in
float32, in another order and with disturbed tables, and is drawn again unless
all replays end within 2e-5 of the float64 tables: no result hangs on rounding.

How to run:

    python3 -m venv venv
    venv/bin/pip install torch pykeen safetensors numpy
    venv/bin/python make.py

The files are written next to this script; the run is seeded and deterministic.
Made with Python 3.11 and torch 2.15.0 (only torch is needed for this script).
"""

import json
import math
import pathlib
import random

import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

HERE = pathlib.Path(__file__).resolve().parent

DIM = 6
N_ENTITIES = 17
N_RELATIONS = 4
N_TRIPLES = 60
N_STEPS = 10
N_NEGATIVES = 5
FLOAT32_TOLERANCE = 2e-5
MODELS = ["transe", "transe-l2", "distmult", "complex", "rotate"]


# ---------------------------------------------------------------- models


def entity_width(model):
    return 2 * DIM if model in ("complex", "rotate") else DIM


def relation_width(model):
    return 2 * DIM if model == "complex" else DIM


def halves(rows):
    """Splits [all real parts | all imaginary parts]."""
    return rows[..., :DIM], rows[..., DIM:]


def root(square):
    """Square root with derivative zero at zero."""
    positive = square > 0
    return torch.where(positive, square, torch.ones_like(square)).sqrt() * positive


def score(model, h, r, t):
    """Scores of broadcastable rows; the last axis is the row."""
    if model == "transe":
        return -(h + r - t).abs().sum(-1)
    if model == "transe-l2":
        return -root(((h + r - t) ** 2).sum(-1))
    if model == "distmult":
        return (h * r * t).sum(-1)
    h_re, h_im = halves(h)
    t_re, t_im = halves(t)
    if model == "complex":
        r_re, r_im = halves(r)
        product_re = h_re * r_re - h_im * r_im
        product_im = h_re * r_im + h_im * r_re
        return (product_re * t_re + product_im * t_im).sum(-1)
    if model == "rotate":
        d_re = h_re * r.cos() - h_im * r.sin() - t_re
        d_im = h_re * r.sin() + h_im * r.cos() - t_im
        return -root(d_re**2 + d_im**2).sum(-1)
    raise ValueError(model)


def row_penalty(rows, is_complex, regulariser):
    """One penalty per row, without lambda."""
    if regulariser == "l2":
        return (rows**2).sum(-1)
    if is_complex:
        re, im = halves(rows)
        square = re**2 + im**2
    else:
        square = rows**2
    # |x|^3 as square^1.5, whose derivative at zero is zero and not NaN.
    return (square**1.5).sum(-1)


# ---------------------------------------------------------------- one step


def queries_of(step, reciprocal):
    """The two queries of each triple: (side, known, relation row, target, weight, negatives)."""
    negatives = step["negatives"]
    for i, ((h, r, t), weight) in enumerate(zip(step["triples"], step["weights"])):
        tail_negatives = negatives["tail"][i] if negatives else None
        head_negatives = negatives["head"][i] if negatives else None
        yield "tail", h, r, t, weight, tail_negatives
        yield "head", t, (r + N_RELATIONS if reciprocal else r), h, weight, head_negatives


def candidate_scores(model, side, reciprocal, known, relation, candidates):
    if side == "tail" or reciprocal:
        return score(model, known, relation, candidates)
    return score(model, candidates, relation, known)


def query_loss(case, scores_target, scores_negatives):
    """Loss of one negative-sampling query."""
    if case["loss"] == "softmax-cross-entropy":
        together = torch.cat([scores_target.reshape(1), scores_negatives])
        return -torch.log_softmax(together, 0)[0]
    margin, temperature = case["margin"], case["temperature"]
    share = torch.softmax(temperature * scores_negatives, 0).detach()
    log_sigmoid = torch.nn.functional.logsigmoid
    positive = -log_sigmoid(margin + scores_target)
    negative = -(share * log_sigmoid(-(margin + scores_negatives))).sum()
    return 0.5 * (positive + negative)


def step_loss(model, case, step, entity, relation, shares=None):
    """The loss of one step, regulariser included.

    `shares` is only for the finite differences: a list that is filled with, or
    read for, the weights of self-adversarial negatives, which count as
    constants of the step.
    """
    total = entity.new_zeros(())
    weight_sum = 0.0
    lam, regulariser = case["lambda"], case["regulariser"]
    for side, known, rel, target, weight, negatives in queries_of(step, case["reciprocal"]):
        known_row, relation_row, target_row = entity[known], relation[rel], entity[target]
        if case["form"] == "1-vs-all":
            scores = candidate_scores(
                model, side, case["reciprocal"], known_row, relation_row, entity
            )
            value = -torch.log_softmax(scores, 0)[target]
        else:
            s_target = candidate_scores(
                model, side, case["reciprocal"], known_row, relation_row, target_row
            )
            s_negatives = candidate_scores(
                model, side, case["reciprocal"], known_row, relation_row, entity[negatives]
            )
            value = query_loss(case, s_target, s_negatives) if shares is None else (
                query_loss_fixed(case, s_target, s_negatives, shares)
            )
        complex_entity = model in ("complex", "rotate")
        penalty = row_penalty(known_row, complex_entity, regulariser)
        penalty = penalty + row_penalty(target_row, complex_entity, regulariser)
        if model != "rotate":
            penalty = penalty + row_penalty(relation_row, model == "complex", regulariser)
        total = total + weight * (value + lam * penalty)
        weight_sum += weight
    return total / weight_sum


def query_loss_fixed(case, scores_target, scores_negatives, shares):
    """`query_loss` with the self-adversarial weights taken from an iterator."""
    if case["loss"] == "softmax-cross-entropy":
        return query_loss(case, scores_target, scores_negatives)
    share = next(shares)
    margin = case["margin"]

    def cost(x):  # -log sigmoid(x), written differently from the training loss
        return torch.log1p(torch.exp(-x.abs())) + torch.clamp(-x, min=0.0)

    return 0.5 * (
        cost(margin + scores_target) + (share * cost(-(margin + scores_negatives))).sum()
    )


def adversarial_shares(model, case, step, entity, relation):
    """Self-adversarial weights of every query at fixed tables."""
    out = []
    for side, known, rel, _, _, negatives in queries_of(step, case["reciprocal"]):
        s = candidate_scores(
            model, side, case["reciprocal"], entity[known], relation[rel], entity[negatives]
        )
        e = torch.exp(case["temperature"] * (s - s.max()))
        out.append(e / e.sum())
    return out


def used_rows(case, step):
    """Which entity rows and relation rows have a gradient entry in this step."""
    entities, relations = set(), set()
    for _, known, rel, target, _, negatives in queries_of(step, case["reciprocal"]):
        entities.update((known, target))
        relations.add(rel)
        entities.update(negatives or ())
    if case["form"] == "1-vs-all":
        entities = set(range(N_ENTITIES))
    return sorted(entities), sorted(relations)


# ---------------------------------------------------------------- optimisers


class Optimiser:
    """One table's optimiser; only the rows in `rows` are touched by a step."""

    def __init__(self, kind, lr, table):
        self.kind, self.lr, self.steps = kind, lr, 0
        n = table.shape[0]
        if kind == "adagrad":
            self.g = torch.zeros_like(table)
        elif kind == "rowwise-adagrad":
            self.g = table.new_zeros(n, 1)
        elif kind == "adam":
            self.m = torch.zeros_like(table)
            self.v = torch.zeros_like(table)
        else:
            raise ValueError(kind)

    def step(self, table, gradient, rows):
        self.steps += 1
        g = gradient[rows]
        if self.kind == "adagrad":
            self.g[rows] += g**2
            table[rows] -= self.lr * g / (self.g[rows].sqrt() + 1e-10)
        elif self.kind == "rowwise-adagrad":
            self.g[rows] += (g**2).mean(-1, keepdim=True)
            table[rows] -= self.lr * g / (self.g[rows].sqrt() + 1e-10)
        else:
            b1, b2, eps = 0.9, 0.999, 1e-8
            self.m[rows] = b1 * self.m[rows] + (1 - b1) * g
            self.v[rows] = b2 * self.v[rows] + (1 - b2) * g**2
            m = self.m[rows] / (1 - b1**self.steps)
            v = self.v[rows] / (1 - b2**self.steps)
            table[rows] -= self.lr * m / (v.sqrt() + eps)


# ---------------------------------------------------------------- data


def make_triples(rng):
    """60 distinct triples in which (h,r) and (r,t) repeat a lot; two have h == t."""
    pairs = [(h, r) for h in range(N_ENTITIES) for r in range(N_RELATIONS)]
    rng.shuffle(pairs)
    pairs = pairs[:14]
    popular = rng.sample(range(N_ENTITIES), 8)
    triples = [(pairs[0][0], pairs[0][1], pairs[0][0]), (pairs[1][0], pairs[1][1], pairs[1][0])]
    while len(triples) < N_TRIPLES:
        h, r = rng.choice(pairs)
        t = rng.choice(popular) if rng.random() < 0.6 else rng.randrange(N_ENTITIES)
        if (h, r, t) not in triples and h != t:
            triples.append((h, r, t))
    rng.shuffle(triples)
    return [list(t) for t in triples]


def sixty_fourths(rng, n, width, bound):
    k = round(bound * 64)
    return torch.tensor([[rng.randint(-k, k) / 64 for _ in range(width)] for _ in range(n)])


def make_steps(rng, case, triples):
    steps = []
    for _ in range(N_STEPS):
        batch = rng.sample(triples, case["batch_size"])
        if case["weighted"]:
            weights = [rng.randint(1, 8) / 4 for _ in batch]
        else:
            weights = [1.0] * len(batch)
        negatives = None
        if case["form"] == "negative-sampling":
            negatives = {
                side: [[rng.randrange(N_ENTITIES) for _ in range(N_NEGATIVES)] for _ in batch]
                for side in ("tail", "head")
            }
        steps.append({"triples": batch, "weights": weights, "negatives": negatives})
    return steps


def cases_of(model):
    def case(name, form, loss, reciprocal, batch_size, optimiser, lr, **more):
        out = {
            "name": name,
            "form": form,
            "loss": loss,
            "margin": 0.0,
            "temperature": 1.0,
            "reciprocal": reciprocal,
            "regulariser": "n3",
            "lambda": 0.05,
            "optimiser": optimiser,
            "lr": lr,
            "batch_size": batch_size,
            "weighted": False,
        }
        out.update(more)
        return out

    softmax, adversarial = "softmax-cross-entropy", "self-adversarial"
    margin = 0.0 if model in ("distmult", "complex") else 3.0
    word = {True: "reciprocal", False: "plain"}
    for reciprocal in (True, False):
        for batch in (4, 16, 60):
            name = f"1-vs-all {word[reciprocal]} batch {batch} adagrad"
            yield case(name, "1-vs-all", softmax, reciprocal, batch, "adagrad", 0.1)
    yield case(
        "1-vs-all reciprocal weighted l2 rowwise-adagrad",
        "1-vs-all", softmax, True, 16, "rowwise-adagrad", 0.1,
        regulariser="l2", weighted=True, **{"lambda": 0.01},
    )
    yield case("1-vs-all reciprocal adam", "1-vs-all", softmax, True, 16, "adam", 0.01)
    for loss in (softmax, adversarial):
        for reciprocal in (True, False):
            yield case(
                f"negative-sampling {loss} {word[reciprocal]} adagrad",
                "negative-sampling", loss, reciprocal, 16, "adagrad", 0.1,
                margin=margin if loss == adversarial else 0.0,
            )
    yield case(
        f"negative-sampling {adversarial} reciprocal adam",
        "negative-sampling", adversarial, True, 16, "adam", 0.01, margin=margin,
    )


# ---------------------------------------------------------------- checks


def check_gradient(model, case, step, entity, relation, grad_entity, grad_relation):
    """Central differences on a spread of entries; returns how many were compared.

    At a kink, which shows as left and right slopes that disagree, the central
    difference is the mean slope, that is the subgradient with sign(0) = 0; the
    error of the difference is larger there, so the comparison is looser.
    """
    adversarial = case["loss"] == "self-adversarial"
    fixed = adversarial_shares(model, case, step, entity, relation) if adversarial else []

    def value(e, r):
        return step_loss(model, case, step, e, r, iter(fixed)).item()

    centre = value(entity, relation)
    compared = kinks = 0
    used_e, used_r = used_rows(case, step)
    spots = [("e", used_e[i % len(used_e)], (5 * i) % entity.shape[1]) for i in range(0, 9)]
    spots += [("r", used_r[i % len(used_r)], (5 * i) % relation.shape[1]) for i in range(0, 6)]
    eps = 1e-6
    for which, row, column in spots:
        table, grad = (entity, grad_entity) if which == "e" else (relation, grad_relation)
        up, down = table.clone(), table.clone()
        up[row, column] += eps
        down[row, column] -= eps
        if which == "e":
            v_up, v_down = value(up, relation), value(down, relation)
        else:
            v_up, v_down = value(entity, up), value(entity, down)
        right, left = (v_up - centre) / eps, (centre - v_down) / eps
        if abs(right - left) > 1e-4 * max(1.0, abs(right)):
            kinks += 1
            allowed = 1e-5
        else:
            compared += 1
            allowed = 1e-8
        got, want = grad[row, column].item(), (v_up - v_down) / (2 * eps)
        assert abs(got - want) < allowed + 1e-6 * abs(want), (
            model, case["name"], which, row, column, got, want,
        )
    assert compared >= 5, (model, case["name"], compared, kinks)
    return compared, kinks


def check_adam():
    """`Optimiser('adam')` on all rows is torch.optim.Adam."""
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(4, 5, generator=generator)
    mine, theirs = start.clone(), torch.nn.Parameter(start.clone())
    one = Optimiser("adam", 0.01, mine)
    two = torch.optim.Adam([theirs], lr=0.01)
    for _ in range(7):
        g = torch.randn(4, 5, generator=generator)
        one.step(mine, g, [0, 1, 2, 3])
        theirs.grad = g.clone()
        two.step()
    assert torch.allclose(mine, theirs.detach(), rtol=1e-12, atol=1e-14)


# ---------------------------------------------------------------- writing


def nine(x):
    """Nine significant digits; whole numbers stay short."""
    x = float(f"{x:.9g}")
    assert math.isfinite(x)
    return int(x) if x == int(x) and abs(x) < 1e15 else x


def flat(table):
    return [nine(x) for x in table.reshape(-1).tolist()]


def train(model, case, entity, relation, steps, jitter=None, backwards=False):
    """Ten steps on copies of the tables; float32 tables train in float32.

    Returns the losses, the first step's gradients and the final tables.
    `jitter` is a random generator: tables are then disturbed after every step by
    about one float32 rounding. `backwards` reverses the order of each batch.
    """
    entity, relation = entity.clone(), relation.clone()
    optimisers = [Optimiser(case["optimiser"], case["lr"], x) for x in (entity, relation)]
    losses, first = [], None
    for step in steps:
        if backwards:
            negatives = step["negatives"]
            step = {
                "triples": step["triples"][::-1],
                "weights": step["weights"][::-1],
                "negatives": negatives and {k: v[::-1] for k, v in negatives.items()},
            }
        e = entity.clone().requires_grad_()
        r = relation.clone().requires_grad_()
        loss = step_loss(model, case, step, e, r)
        loss.backward()
        losses.append(loss.item())
        first = first or (e.grad, r.grad)
        tables = zip(optimisers, (entity, relation), (e.grad, r.grad), used_rows(case, step))
        for optimiser, table, grad, used in tables:
            assert torch.isfinite(grad).all()
            assert not grad[[i for i in range(len(grad)) if i not in used]].any()
            optimiser.step(table, grad, used)
            if jitter is not None:
                noise = torch.rand(table[used].shape, generator=jitter) * 2 - 1
                table[used] *= 1 + 6e-8 * noise
    return losses, first, (entity, relation)


def float32_distance(model, case, entity, relation, steps, final):
    """How far float32 training ends from `final`, at worst over several orders and disturbances.

    Large where some sign hangs on a rounding error (a coordinate of h + r - t that
    is zero but for rounding, a gradient that cancels): such a run would test
    luck, so it is drawn again.
    """
    worst = 0.0
    replays = [dict(bits=torch.float32), dict(bits=torch.float32, backwards=True)]
    replays += [
        dict(bits=torch.float64, jitter=torch.Generator().manual_seed(seed)) for seed in (1, 2)
    ]
    for replay in replays:
        bits = replay.pop("bits")
        _, _, got = train(model, case, entity.to(bits), relation.to(bits), steps, **replay)
        for a, b in zip(got, final):
            worst = max(worst, (a.double() - b).abs().max().item())
        if worst > FLOAT32_TOLERANCE:
            break
    return worst


def run_case(model, case, rng, triples):
    n_relation_rows = N_RELATIONS * (2 if case["reciprocal"] else 1)
    for draw in range(1, 201):
        entity = sixty_fourths(rng, N_ENTITIES, entity_width(model), 0.5)
        relation = sixty_fourths(
            rng, n_relation_rows, relation_width(model), 3.0 if model == "rotate" else 0.5
        )
        steps = make_steps(rng, case, triples)
        losses, first, final = train(model, case, entity, relation, steps)
        distance = float32_distance(model, case, entity, relation, steps, final)
        if distance <= FLOAT32_TOLERANCE:
            break
    else:
        raise AssertionError((model, case["name"], "no well-conditioned draw"))
    checked = check_gradient(model, case, steps[0], entity, relation, *first)
    out = dict(case, entity=flat(entity), relation=flat(relation))
    del out["weighted"]
    out["steps"] = [
        {
            "triples": step["triples"],
            "weights": [nine(w) for w in step["weights"]],
            "negatives": step["negatives"],
            "loss": nine(loss),
        }
        for step, loss in zip(steps, losses)
    ]
    out["gradient_entity"], out["gradient_relation"] = flat(first[0]), flat(first[1])
    out["final_entity"], out["final_relation"] = flat(final[0]), flat(final[1])
    return out, checked, draw, distance


def main():
    check_adam()
    for number, model in enumerate(MODELS):
        rng = random.Random(20_000 + number)
        triples = make_triples(rng)
        cases, compared, kinks = [], 0, 0
        for case in cases_of(model):
            out, (good, bad), draw, distance = run_case(model, case, rng, triples)
            print(f"  {case['name']}: draw {draw}, float32 within {distance:.1e}", flush=True)
            cases.append(out)
            compared, kinks = compared + good, kinks + bad
        document = {
            "model": model,
            "dim": DIM,
            "n_entities": N_ENTITIES,
            "n_relations": N_RELATIONS,
            "cases": cases,
        }
        path = HERE / f"{model}.json"
        path.write_text(json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n")
        print(
            f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes, "
            f"{compared} gradient entries agree with finite differences, {kinks} more at a kink"
        )


if __name__ == "__main__":
    main()
