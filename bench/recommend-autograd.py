"""Bytes that PyTorch's autograd keeps between the ways for plain recommenders, as JSON.

    python bench/recommend-autograd.py DATA [--dim 64] [--batch 2048] [--seed 1]

DATA is a folder as RecBole has them: one .kg, one .link, and .inter (or .train.inter, whose pairs are then the
edges, beside .valid.inter and .test.inter, which only name users and items). One forward pass of a training
step, counted as bench/autograd.py counts: by saved-tensor hooks, each storage once, dropout's masks inside (on
a CPU they are floats), parameters, indices and sparse matrices left out. The networks are written as the
reference codes of KGAT, KGIN and KGCN write them, and each is given the benefit of the doubt: one table for
users and entities, so that no copy of parameters is kept; sampled edges, their counts and sampled neighbours
are inputs; interactions are not dropped; regularisers and KGAT's other step, that of the facts, are not in it.

    kgat    bi-interaction layers dim > dim > dim/2 > dim/4 over the collaborative graph, BPR
    kgin    three hops, four intents, half of the facts each step, BPR
    kgcn    eight sampled neighbours for each of 2 * batch pairs, one hop, cross-entropy; kgcn-2 has two hops

"nodes" are the rows of the tables: users and entities. Bytes of kgcn do not grow with them, but with its "pairs".
"""

import argparse
import json
import pathlib

import torch

from autograd import inputs, kept_by

F = torch.nn.functional
DROPOUT, HOPS, INTENTS, NEIGHBOURS = 0.1, 3, 4, 8
HELD = []


def rows(path, *columns):
    lines = path.read_text().splitlines()
    header = [name.split(":")[0] for name in lines[0].split("\t")]
    places = [header.index(name) for name in columns]
    for line in lines[1:]:
        cells = line.split("\t")
        yield tuple(cells[place] for place in places)


def only(folder, ending):
    found = sorted(folder.glob(f"*{ending}"))
    if len(found) != 1:
        raise SystemExit(f"{folder}: {len(found)} files end in {ending}; wanted is one")
    return found[0]


def fixed(*tensors):
    """Inputs, held until the end: the place of a freed one could be given to a tensor that counts."""
    HELD.extend(tensors)
    inputs(*tensors)
    return tensors[0]


class Data:
    """Users, items and entities by number; an item that has a link is its entity, and items come first."""

    def __init__(self, folder):
        files = sorted(folder.glob("*.inter"))
        train = [path for path in files if path.name.endswith(".train.inter")] or files
        read = {path: list(rows(path, "user_id", "item_id")) for path in files}
        users = {user: None for pairs in read.values() for user, _ in pairs}
        links = dict(rows(only(folder, ".link"), "item_id", "entity_id"))
        items = {item: None for pairs in read.values() for _, item in pairs} | dict.fromkeys(links)
        number = {user: place for place, user in enumerate(users)}
        place = {item: at for at, item in enumerate(items)}
        entities = {entity: place[item] for item, entity in links.items()}
        facts = {}
        for head, relation, tail in rows(only(folder, ".kg"), "head_id", "relation_id", "tail_id"):
            facts[head, relation, tail] = None
        self.n_users, self.n_items, self.n_entities = len(users), len(items), len(items)
        for head, _, tail in facts:
            for name in (head, tail):
                if name not in entities:
                    entities[name] = self.n_entities
                    self.n_entities += 1
        labels = {relation: at for at, relation in enumerate(dict.fromkeys(relation for _, relation, _ in facts))}
        self.n_relations = len(labels)
        self.pairs = sorted({(number[user], place[item]) for path in train for user, item in read[path]})
        self.facts = [(entities[h], labels[r], entities[t]) for h, r, t in facts]

    def batch(self, size):
        """Users, items and as many items that the user has not, at random."""
        known = set(self.pairs)
        chosen = [self.pairs[at] for at in torch.randint(len(self.pairs), (size,)).tolist()]
        others = []
        for user, _ in chosen:
            while (pair := (user, int(torch.randint(self.n_items, ())))) in known:
                pass
            others.append(pair[1])
        columns = zip(*(pair + (other,) for pair, other in zip(chosen, others)))
        return [fixed(torch.tensor(column)) for column in columns]

    def directions(self):
        """Target, label, source of each fact and of its inverse, whose labels come after the others."""
        heads, labels, tails = torch.tensor(self.facts).T
        return torch.cat([heads, tails]), torch.cat([labels, labels + self.n_relations]), torch.cat([tails, heads])


def parameter(*shape):
    return fixed(torch.nn.Parameter(torch.randn(*shape) * 0.1))


def mean_of(target, source, n_targets, n_sources):
    share = 1 / torch.bincount(target, minlength=n_targets).clamp(min=1).float()
    places = torch.stack([target, source])
    matrix = torch.sparse_coo_tensor(places, share[target], (n_targets, n_sources), check_invariants=False)
    return fixed(matrix.coalesce())


def bpr(users, items, others):
    return -F.logsigmoid((users * items).sum(1) - (users * others).sum(1)).mean()


def kgat(data, dim, batch):
    n = data.n_users + data.n_entities
    users, items = torch.tensor(data.pairs).T
    target, _, source = data.directions()
    items, target, source = (one + data.n_users for one in (items, target, source))
    near = mean_of(torch.cat([users, items, target]), torch.cat([items, users, source]), n, n)
    table, widths = parameter(n, dim), [dim, dim, dim // 2, dim // 4]
    layers = [(parameter(a, b), parameter(b), parameter(a, b), parameter(b)) for a, b in zip(widths, widths[1:])]
    user, item, other = batch
    item, other = item + data.n_users, other + data.n_users
    fixed(item, other)

    def forward():
        e, out = table, [table]
        for w, b, v, c in layers:
            s = torch.sparse.mm(near, e)
            e = F.leaky_relu(torch.addmm(b, e + s, w)) + F.leaky_relu(torch.addmm(c, e * s, v))
            e = F.dropout(e, DROPOUT)
            out.append(F.normalize(e, dim=1))
        out = torch.cat(out, 1)
        return bpr(out[user], out[item], out[other])

    return {"bytes": kept_by(forward), "nodes": n}


def kgin(data, dim, batch):
    target, label, source = data.directions()
    half = torch.randperm(len(target))[: len(target) // 2]
    target, label, source = target[half], label[half], source[half]
    degree = torch.bincount(target, minlength=data.n_entities).clamp(min=1).float()[:, None]
    fixed(target, label, source, degree)
    # As torch_scatter adds: index_add would also keep the messages.
    to = target[:, None].expand(-1, dim)
    users, items = torch.tensor(data.pairs).T
    liked = mean_of(users, items, data.n_users, data.n_entities)
    table, relations = parameter(data.n_users + data.n_entities, dim), parameter(2 * data.n_relations, dim)
    latent, mix = parameter(INTENTS, dim), parameter(INTENTS, 2 * data.n_relations)
    user, item, other = batch

    def forward():
        u, e = table[: data.n_users], table[data.n_users :]
        users, entities = u, e
        for _ in range(HOPS):
            messages = e[source] * relations[label]
            mean = torch.zeros(data.n_entities, dim).scatter_add(0, to, messages) / degree
            score = F.softmax(u @ latent.T, 1)[:, :, None]
            intents = (F.softmax(mix, 1) @ relations).expand(data.n_users, INTENTS, dim)
            liking = torch.sparse.mm(liked, e)
            u = liking * (intents * score).sum(1) + liking
            e, u = F.dropout(mean, DROPOUT), F.dropout(u, DROPOUT)
            e, u = F.normalize(e), F.normalize(u)
            entities, users = entities + e, users + u
        return bpr(users[user], entities[item], entities[other])

    return {"bytes": kept_by(forward), "nodes": data.n_users + data.n_entities}


def kgcn(data, dim, batch, hops):
    n = data.n_entities
    near = [[] for _ in range(n)]
    for head, label, tail in data.facts:
        near[head].append((label, tail))
        near[tail].append((label, head))
    # An entity without facts is its own neighbour; one with few has some of them more than once.
    chosen = []
    for entity, around in enumerate(near):
        around = around or [(data.n_relations, entity)]
        many = len(around)
        picks = torch.randperm(many)[:NEIGHBOURS] if many >= NEIGHBOURS else torch.randint(many, (NEIGHBOURS,))
        chosen.append([around[at] for at in picks.tolist()])
    label_of, tail_of = torch.tensor(chosen).unbind(2)
    user, item, other = batch
    user, item = torch.cat([user, user]), torch.cat([item, other])
    pairs = len(user)
    levels, labels = [item[:, None]], []
    for _ in range(hops):
        labels.append(label_of[levels[-1]].reshape(pairs, -1))
        levels.append(tail_of[levels[-1]].reshape(pairs, -1))
    truth = (torch.arange(pairs) < pairs // 2).float()
    fixed(user, truth, *levels, *labels)
    users, entities, relations = parameter(data.n_users, dim), parameter(n, dim), parameter(data.n_relations + 1, dim)
    weights = [(parameter(dim, dim), parameter(dim)) for _ in range(hops)]

    def forward():
        u = F.embedding(user, users)
        vectors = [F.embedding(level, entities) for level in levels]
        links = [F.embedding(label, relations).view(pairs, -1, NEIGHBOURS, dim) for label in labels]
        for step, (w, b) in enumerate(weights):
            following = []
            for hop in range(hops - step):
                around = vectors[hop + 1].view(pairs, -1, NEIGHBOURS, dim)
                share = F.softmax((u[:, None, None] * links[hop]).mean(3), 2)
                mixed = vectors[hop] + (share[:, :, :, None] * around).mean(2)
                out = torch.addmm(b, mixed.view(-1, dim), w).view(pairs, -1, dim)
                following.append(torch.tanh(out) if step + 1 == hops else torch.relu(out))
            vectors = following
        return F.binary_cross_entropy_with_logits((u * vectors[0].view(pairs, dim)).sum(1), truth)

    return {"bytes": kept_by(forward), "nodes": data.n_users + n, "pairs": pairs}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("data", type=pathlib.Path)
    options.add_argument("--dim", type=int, default=64)
    options.add_argument("--batch", type=int, default=2048)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    data = Data(given.data)
    batch = data.batch(given.batch)
    found = {
        "kgat": kgat(data, given.dim, batch),
        "kgin": kgin(data, given.dim, batch),
        "kgcn": kgcn(data, given.dim, batch, 1),
        "kgcn-2": kgcn(data, given.dim, batch, 2),
    }
    sizes = {"users": data.n_users, "items": data.n_items, "entities": data.n_entities, "relations": data.n_relations}
    sizes |= {"interactions": len(data.pairs), "facts": len(data.facts)}
    name = given.data.resolve().name
    print(json.dumps({"torch": torch.__version__, "data": name, "sizes": sizes, "found": found}))


if __name__ == "__main__":
    main()
