"""Quality, seconds of an epoch and the process's peak of RecBole's recommenders on a given split, as JSON.

    python bench/recommend-peers.py DATA SPLIT MODEL EPOCHS [THREADS [SEED]]

MODEL is Pop, ItemKNN, EASE (these with one epoch), BPR, LightGCN, CKE, CFKG, KGCN, KGNNLS, KGAT or KGIN, or another that
RecBole has. SPLIT is a folder with NAME.train.inter, NAME.valid.inter and NAME.test.inter; the .kg and .link are SPLIT's, or
else DATA's, which may be the same folder. Each model is as RecBole sets it (width 64, batches of 2048). Every five epochs the
validation part is ranked, as ours is: the best epoch by its NDCG@20 is kept, and more than ten validations that are no better
end it (of RecBole's own ten, each is of one epoch). The test part is ranked against every item that the user does not have in
the other parts. Seconds are the median epoch's, training alone: validation, and what is made before, are not in it.
Threads are two and the seed is RecBole's own, if not said.

    python3 -m venv rb && rb/bin/pip install torch==2.5.1 numpy==1.26.4 scipy==1.11.4 pandas==2.2.3 recbole==1.2.1

No more is needed: the few functions of dgl and torch_scatter that KGAT and KGIN ask for are below.
"""

import json
import os
import pathlib
import resource
import statistics
import sys
import tempfile
import time
import types
import warnings

import torch

NAME = "given"
SECONDS = []


class Edges:
    """What KGAT asks of dgl's graph, with the meaning that it had: rows are sources, nodes are kept."""

    def __init__(self, source, target, n=None, **data):
        self.source, self.target, self.edata = source, target, data
        self.n = n or int(max(source.max(), target.max())) + 1

    def filter_edges(self, wanted):
        return torch.nonzero(wanted(types.SimpleNamespace(data=self.edata))).flatten()

    def part(self, edges, preserve_nodes):
        assert preserve_nodes
        return Edges(self.source[edges], self.target[edges], self.n)

    def adjacency_matrix(self, transpose, scipy_fmt):
        from scipy.sparse import coo_matrix

        assert not transpose
        ones, places = torch.ones(len(self.source)).numpy(), (self.source.numpy(), self.target.numpy())
        return coo_matrix((ones, places), shape=(self.n, self.n)).asformat(scipy_fmt)


def scatter_mean(src, index, dim, dim_size):
    assert dim == 0
    count = torch.bincount(index, minlength=dim_size).clamp(min=1).to(src.dtype)
    out = torch.zeros(dim_size, *src.shape[1:], dtype=src.dtype, device=src.device)
    # Not index_add, which would keep src for the way back, as torch_scatter does not.
    return out.scatter_add(0, index[:, None].expand_as(src), src) / count[:, None]


def stand_in(name, **functions):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(functions)


def gather(data, split, place):
    """The files under RecBole's names, in a folder of its own: for "ml-100k" RecBole would take the one it brings."""
    train = sorted(split.glob("*.train.inter"))
    if len(train) != 1:
        raise SystemExit(f"{split}: {len(train)} files end in .train.inter; wanted is one")
    name = train[0].name.removesuffix(".train.inter")
    folder = place / NAME
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"{NAME}.{part}.inter").symlink_to((split / f"{name}.{part}.inter").resolve(strict=True))
    for ending in ("kg", "link"):
        found = sorted(split.glob(f"*.{ending}")) or sorted(data.glob(f"*.{ending}"))
        if len(found) != 1:
            raise SystemExit(f"{len(found)} files end in .{ending}; wanted is one")
        (folder / f"{NAME}.{ending}").symlink_to(found[0].resolve())


def timed(epoch):
    def run(*values, **named):
        began = time.perf_counter()
        loss = epoch(*values, **named)
        SECONDS.append(time.perf_counter() - began)
        return loss

    return run


def fit(place, model, epochs, seed):
    from recbole import __version__
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import ModelType, get_model, get_trainer, init_seed

    columns = {"inter": ["user_id", "item_id"]}
    if get_model(model).type == ModelType.KNOWLEDGE:
        columns |= {"kg": ["head_id", "relation_id", "tail_id"], "link": ["item_id", "entity_id"]}
    settings = {
        "data_path": str(place), "checkpoint_dir": str(place / "saved"), "benchmark_filename": ["train", "valid", "test"],
        "load_col": columns, "use_gpu": False, "show_progress": False, "state": "WARNING",
        "epochs": epochs, "eval_step": min(5, epochs), "stopping_step": 10, "embedding_size": 64, "train_batch_size": 2048,
        "metrics": ["Recall", "NDCG"], "topk": [20], "valid_metric": "NDCG@20", "metric_decimal_place": 6,
    }
    if seed is not None:
        settings["seed"] = seed
    config = Config(model=model, dataset=NAME, config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    network = get_model(model)(config, train._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
    trainer._train_epoch = timed(trainer._train_epoch)
    trainer.fit(train, valid, verbose=False, saved=True, show_progress=False)
    found = trainer.evaluate(test, load_best_model=True, show_progress=False)
    return __version__, {metric: float(found[metric]) for metric in ("recall@20", "ndcg@20")}


def main():
    data, split, model, epochs, *rest = sys.argv[1:]
    data, split = pathlib.Path(data).resolve(), pathlib.Path(split).resolve()
    # RecBole reads the command line too, and writes its logs where it is run.
    del sys.argv[1:]
    # Of what PyTorch and pandas will no longer have.
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(rest[0]) if rest else 2)
    stand_in("dgl", graph=lambda ends: Edges(*ends), edge_subgraph=Edges.part)
    stand_in("torch_scatter", scatter_mean=scatter_mean)
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        place = pathlib.Path(place)
        gather(data, split, place)
        version, found = fit(place, model, int(epochs), int(rest[1]) if len(rest) > 1 else None)
        os.chdir("/")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = round(statistics.median(SECONDS), 4)
    out = {"recbole": version, "model": model, "seconds_per_epoch": seconds, "peak_bytes": peak}
    print(json.dumps(out | found | {"epochs": len(SECONDS)}))


if __name__ == "__main__":
    main()
