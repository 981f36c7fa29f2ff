"""Puts a trained model into the box: `python scripts/pack_model.py NAME FOLDER`, in the root of a checkout.

FOLDER is what `unblur train` wrote (model/ and run.json). The network is folded and exported; its largest weights are
stored in 8 bits with a scale for each output, the others in 16. What is computed stays in float, so any runtime takes
the file. The network as it was trained goes into src/unblur/training/parents, in 16 bits, to be trained further
(`train.init=NAME`). Every entry in src/unblur/models/entries that takes the file (`source: {wheel: NAME}`) gets its
size and hash; figures, and the card beside the file, are written by hand after the model was scored.
"""

import argparse
import re
import shutil
import tempfile
from pathlib import Path

import onnx
import torch
import yaml

from unblur.compression.graph_parts import halved, in_bytes
from unblur.export.onnx import export_onnx
from unblur.models.catalogue import ROOM, find
from unblur.networks.folding import fold
from unblur.safety.hashing import sha256_file
from unblur.training.weights import PARENTS, About, load_model, read_model_config, save_model

OPSET = 18


def main() -> None:
    """Write the file, and its size and hash into the entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the folder in src/unblur/models/weights")
    parser.add_argument("folder", type=Path, help="what `unblur train` wrote")
    parser.add_argument("--smallest", type=int, default=60_000, help="values from which on a weight gets 8 bits")
    options = parser.parse_args()

    network = load_model(options.folder / "model")
    room = ROOM / "weights" / options.name
    room.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        export_onnx(fold(network), Path(folder) / "model.onnx", OPSET)
        graph = onnx.load(Path(folder) / "model.onnx")
    file = room / "model.onnx"
    onnx.save(halved(in_bytes(graph, options.smallest)), file)
    catalogued = find(options.name)
    folder = PARENTS / options.name
    folder.mkdir(parents=True, exist_ok=True)
    config = read_model_config(options.folder / "model")
    save_model(network.half(), config, folder, About(catalogued.name, catalogued.licence))
    shutil.copyfile(options.folder / "run.json", room / "run.json")

    facts = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "bytes": file.stat().st_size,
        "sha256": sha256_file(file),
    }
    for entry in (ROOM / "entries").glob("*.yaml"):
        text = entry.read_text(encoding="utf-8")
        if yaml.safe_load(text)["source"].get("wheel") == options.name:
            for key, value in facts.items():
                text = re.sub(rf"(?m)^{key}: .*$", f"{key}: {value}", text)
            entry.write_text(text, encoding="utf-8")
    print(f"{file}: {facts['bytes'] / 1e6:.1f} MB, SHA-256 {facts['sha256']}")


if __name__ == "__main__":
    main()
