"""What is run under faults: each writes a new state over an old one, and knows how either looks."""

import json
import os
from pathlib import Path

import numpy as np


class Scenario:
    """`before` lays the old state out, `act` writes the new one, `check` asserts that one of them is there, whole."""

    watched = ""  # the folder below the root, or the beginning of its name
    all_ways = True  # else a kill and one error in turn
    tried = "wsr"  # writes, syncs, renames

    modules = ()  # imported once, before the forks

    def before(self, root: Path) -> None:
        raise NotImplementedError

    def act(self, root: Path) -> None:
        raise NotImplementedError

    def check(self, root: Path, *, done: bool) -> None:
        raise NotImplementedError


class Checkpoint(Scenario):
    """Step 3 is written over steps 2 and 1."""

    modules = ("torch", "unblur.training.checkpoints")

    def _save(self, root, step):
        import torch

        from unblur.training.checkpoints import KeptCheckpoints

        content = {"step": step, "weights": torch.full((50_000,), float(step))}
        KeptCheckpoints().save_checkpoint(content, root / "last.ckpt")

    def before(self, root):
        for step in (1, 2):
            self._save(root, step)

    def act(self, root):
        self._save(root, 3)

    def check(self, root, *, done):
        import torch

        from unblur.training.checkpoints import newest_readable

        newest = newest_readable(root)
        assert newest is not None
        assert not list(root.glob("*.unreadable"))
        content = torch.load(newest, weights_only=True)
        assert content["step"] in ({3} if done else {2, 3})
        assert bool((content["weights"] == content["step"]).all())


class Pack(Scenario):
    """Photographs into shards, where shards of fewer photographs lie."""

    modules = ("unblur.data.shard_index", "unblur.ingest.pack")

    def _photos(self, root, numbers):
        from unblur.data.images import write_png

        for number in numbers:
            pixels = np.random.default_rng(number).integers(0, 256, (48, 48, 3), dtype=np.uint8)
            (root / "photos").mkdir(exist_ok=True)
            write_png(root / "photos" / f"{number}.png", pixels)

    def _pack(self, root):
        from unblur.ingest.pack import pack

        return pack(root / "photos", root / "shards", tile=48, min_side=16, shard_bytes=7_000)

    def before(self, root):
        self._photos(root, (1, 2))
        self._pack(root)
        self._photos(root, (3, 4))

    @property
    def watched(self):
        return "shards"

    def act(self, root):
        self._pack(root)

    def check(self, root, *, done):
        from unblur.data.shard_index import parse_index
        from unblur.safety.hashing import sha256_file

        file = root / "shards/index.json"
        if not file.exists():  # work goes on in the folder, and the index says when it is whole
            assert not done
            return
        index = parse_index(file.read_bytes(), str(file))
        assert len(index.shards) in ({4} if done else {2, 4})
        for each in (index.table, *index.shards):
            assert sha256_file(root / "shards" / each.file) == each.sha256


class Prepare(Scenario):
    """Pairs of two photographs over those of one."""

    all_ways = False

    modules = ("unblur.blur.recipe", "unblur.config.instantiate", "unblur.data.pairs")

    def _prepare(self, root, numbers):
        from unblur.data.images import write_png
        from unblur.data.manifest import Source, write_source_index
        from unblur.data.pairs import prepare_pairs
        from unblur.safety.hashing import sha256_file
        from unblur.safety.owned import owned_folder

        sources = []
        for number in numbers:
            file = root / "photos" / f"{number}.png"
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                write_png(file, np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8))
            sources.append(Source(f"photos/{number}.png", "test", f"s{number}", sha256_file(file), "CC0"))
        with owned_folder(root / "prepared", "prepare", {"photographs": len(numbers)}) as folder:
            prepare_pairs(
                sources, root, folder, recipe=self._recipe(), pairs_per_photo={"test": 1}, max_side={}, seed=1
            )
            write_source_index(folder, sources)

    def _recipe(self):
        from omegaconf import OmegaConf

        from unblur.config.compose import config_dir
        from unblur.config.instantiate import instantiate

        return instantiate(OmegaConf.load(config_dir() / "blur/starter.yaml"))

    def before(self, root):
        self._prepare(root, (1,))

    def act(self, root):
        self._prepare(root, (1, 2))

    def check(self, root, *, done):
        from unblur.data.manifest import read_manifest
        from unblur.data.pictures import require_unchanged

        folder = root / "prepared"
        if not folder.exists():  # stopped between the two renames: the old one waits beside, whole
            assert not done
            (folder,) = (each for each in root.glob(".*.part") if len(self._rows(each)) == 1)
        rows = read_manifest(folder)
        assert len(rows) in ({2} if done else {1, 2})
        assert len((folder / "sources.csv").read_text().splitlines()) == 1 + len(rows)
        for row in rows:
            require_unchanged(row, folder)
        assert json.loads((folder / ".unblur.json").read_text())["command"] == "prepare"

    def _rows(self, folder):
        from unblur.data.manifest import read_manifest

        return read_manifest(folder) if (folder / "manifest.csv").exists() else []


class Weights(Scenario):
    """A model's weights, configuration and listing over others."""

    modules = ("unblur.networks.nafnet", "unblur.training.weights")

    def _save(self, root, value):
        import torch

        from unblur.networks.nafnet import NAFNet
        from unblur.training.weights import save_model

        sizes = {"width": 8, "encoder_blocks": [1], "middle_blocks": 1, "decoder_blocks": [1]}
        network = NAFNet(**sizes)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(value)
        save_model(network, {"_target_": "unblur.networks.nafnet.NAFNet", **sizes}, root)

    def before(self, root):
        self._save(root, 0.25)

    def act(self, root):
        self._save(root, 0.5)

    def check(self, root, *, done):
        from unblur.training.weights import load_model

        network = load_model(root)
        values = {float(value) for parameter in network.parameters() for value in (parameter.min(), parameter.max())}
        assert values in ([{0.5}] if done else [{0.25}, {0.5}])


class Registry(Scenario):
    """The project of the registry's tests, with a champion; SQLite's own file is watched where a move is made."""

    all_ways = False

    modules = ("cv2", "mlflow.onnx", "unblur.registry.gate", "unblur.registry.promote", "unblur.registry.register")

    def _project(self, root, *, fresh=False):
        import importlib.util

        import cv2

        file = Path(__file__).parents[2] / "registry/project.py"
        spec = importlib.util.spec_from_file_location("registry_project", file)
        module = importlib.util.module_from_spec(spec)
        import sys

        sys.modules["registry_project"] = module
        spec.loader.exec_module(module)
        os.environ.update(UNBLUR_ROOT=str(root), MLFLOW_TRACKING_URI=f"sqlite:///{root / 'mlflow.db'}")

        def photo(height, width, seed=0):
            noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
            return (cv2.GaussianBlur(noise, (0, 0), 2.0) * 255).astype(np.uint8)

        if fresh:
            return module.make_project(root, photo)
        cfg = module.PipelineConfig(model={"_target_": "unblur.networks.nafnet.NAFNet"}, gate=module.lenient_gate())
        cfg.data.name = "test"
        return module.Project(root, cfg)


class Register(Registry):
    """A second model is registered beside a first."""

    watched = "mlartifacts"

    def before(self, root):
        from unblur.registry.register import register

        project = self._project(root, fresh=True)
        project.export(0.8)
        register(project.cfg, root)
        project.export(0.7)

    def act(self, root):
        from unblur.registry.register import register

        project = self._project(root)
        register(project.cfg, root)

    def check(self, root, *, done):
        from unblur.config.tracking import tracking_client
        from unblur.registry.versions import list_versions, read_aliases
        from unblur.runtimes.mlflow_reference import fetched_graph

        self._project(root)
        client = tracking_client()
        versions = list_versions(client, "unblur")
        assert len(versions) in ({2} if done else {1, 2})
        for version in versions:
            fetched_graph(version.uri)  # refuses what is not the file that was registered
        candidate = read_aliases(client, "unblur")["candidate"]
        assert candidate in ({2} if done else {1, 2})


class Ledger(Registry):
    """The champion moves from the first version to the second."""

    watched = "mlflow.db"
    tried = "s"  # what happens between two syncs is what SQLite has its journal for

    def before(self, root):
        from unblur.registry.promote import promote

        project = self._project(root, fresh=True)
        project.judged()
        promote("unblur", root, root / "artifacts/registry", why="first")
        project.judged()

    def act(self, root):
        from unblur.registry.promote import promote

        self._project(root)
        promote("unblur", root, root / "artifacts/registry", why="second")

    def check(self, root, *, done):
        from unblur.config.tracking import tracking_client
        from unblur.registry.checking import check_registry
        from unblur.registry.ledger import read_ledger
        from unblur.registry.versions import read_aliases

        self._project(root)
        client = tracking_client()
        moves = [(line.before, line.after) for line in read_ledger(client, "unblur")]
        champion = read_aliases(client, "unblur")["champion"]
        assert moves[:1] == [(None, 1)]
        assert moves[1:] in ([[(1, 2)]] if done else [[], [(1, 2)]])
        assert champion in ({2} if done else {1, moves[-1][1]})  # the ledger comes first
        check_registry("unblur", mend=True)  # as the next command does
        assert read_aliases(client, "unblur")["champion"] == moves[-1][1]


SCENARIOS = {
    "checkpoint": Checkpoint(),
    "weights": Weights(),
    "pack": Pack(),
    "prepare": Prepare(),
    "register": Register(),
    "ledger": Ledger(),
}
