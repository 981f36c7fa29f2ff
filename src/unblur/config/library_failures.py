"""What the exceptions of each library mean here: what is wrong, and how to mend it.

A class is known by the modules that it and its bases come from, so nothing is imported for a message. What is missing
from the table means a bug of this program, which nobody can mend with a line: it is told as such, with `--debug`.
"""

_CACHE = "data is missing or damaged in DVC's cache; fetch it with `dvc pull`, or make it anew with `dvc repro`"
_CONFIGURATION = "the configuration is not understood; compare the overrides that were given with conf/ and README.md"
_DAMAGED = "a compressed file is damaged or cut off; fetch or write it again, or take it from a copy"
_EXPORT = "PyTorch cannot turn this network into a graph; see `Add a network` in CONTRIBUTING.md for what it may hold"
_GIT = "git cannot do this; see what `git status` says, and mend that"
_GRAPH = "the ONNX file is damaged, or of a kind that is not read; export it anew with `unblur export`, or give another"
_LIST = "a text file of data is damaged; bring it back from git or a copy, or run the stage that writes it again"
_PICTURE = "a picture is damaged, or of a kind that is not read; save it as PNG, or take it from a copy"
_PROCESS = "a process has ended early, most often for want of memory; end other programs, then run it again"
_STORAGE = "the object storage cannot be used; see the bucket's address, the network and AWS_ENDPOINT_URL"
_STORAGE_USER = "the object storage wants a user; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_WEB = "a server cannot be reached or answers oddly; see the network and the address, then run it again"
_YAML = "a YAML file cannot be read; mend it at the line that is named, or bring it back with `git checkout FILE`"

# Module, or class with its module -> what is wrong; how to mend it. The most special one is taken.
MEANINGS = {
    # configuration and records
    "antlr4": _CONFIGURATION,
    "hydra": _CONFIGURATION,
    "omegaconf": _CONFIGURATION,
    "yaml": _YAML,
    "ruamel": _YAML,
    "pydantic_core": "a record has other fields than this version reads; run the stage that writes it again",
    "configparser": "a file of settings cannot be read; mend it at the line that is named",
    "json": _LIST,
    "_csv": _LIST,
    # files
    "zipfile": _DAMAGED,
    "tarfile": _DAMAGED,
    "gzip": _DAMAGED,
    "zlib": _DAMAGED,
    "_lzma": _DAMAGED,
    "filelock": "another process holds a file; wait until it has ended, then run it again",
    "subprocess": "another program has failed or did not end; mend what it says, then run it again",
    # data, its versions, and where it is kept
    "dvc": "DVC cannot do this; see what `dvc status` and `dvc doctor` say, and mend that",
    "dvc.lock": "another DVC is at work; wait until it has ended, then run it again",
    "dvc.config": "DVC's settings do not do; see `dvc remote list` and `dvc config --list`, and mend them",
    "dvc.exceptions.NotDvcRepoError": "this is no folder of a DVC project; run the command in one, or set UNBLUR_ROOT",
    "dvc.exceptions.CheckoutError": "files are missing in DVC's cache; fetch them with `dvc pull`, or make them anew",
    "dvc.exceptions.FileTransferError": "DVC could not copy all files; see its remote and the network, then go on",
    "dvc_data": _CACHE,
    "dvc_objects": _CACHE,
    "scmrepo": _GIT,
    "dulwich": _GIT,
    "_pygit2": _GIT,
    "pygit2": _GIT,
    "git": _GIT,
    "gitdb": _GIT,
    "botocore": _STORAGE,
    "boto3": _STORAGE,
    "s3transfer": _STORAGE,
    "aiobotocore": _STORAGE,
    "fsspec": _STORAGE,
    "botocore.exceptions.NoCredentialsError": _STORAGE_USER,
    "botocore.exceptions.PartialCredentialsError": _STORAGE_USER,
    "botocore.exceptions.CredentialRetrievalError": _STORAGE_USER,
    "botocore.exceptions.ProfileNotFound": _STORAGE_USER,
    "aiohttp": _WEB,
    "requests": _WEB,
    "urllib3": _WEB,
    "http": _WEB,
    # pictures and videos
    "PIL": _PICTURE,
    "PIL.Image.DecompressionBombError": "a picture has more pixels than are read; make it smaller, or cut it",
    "tifffile": _PICTURE,
    "imagecodecs": _PICTURE,
    "av": "FFmpeg cannot use this video; take it from a copy, or re-encode it with `ffmpeg -i IN -c:v libx264 OUT.mp4`",
    # weights, models and what runs them
    "safetensors": "the weights are damaged or cut off; take them from a copy, or train them anew",
    "_pickle.UnpicklingError": "this is no file of weights, or a damaged one; take it from a copy, or give another",
    "onnxruntime": "ONNX Runtime cannot run this model; export it anew with `unblur export`, or give another model",
    "onnx": _GRAPH,
    "onnx_ir": _GRAPH,
    "onnxscript": _GRAPH,
    "google.protobuf": _GRAPH,
    "openvino": "OpenVINO cannot run this model; take another with --runtime onnxruntime, or export it anew",
    "nncf": "NNCF cannot bring this network to eight bits; leave int8 out of quantize.kinds, or see CONTRIBUTING.md",
    "lightning": "the training cannot be set up like this; compare what was given with conf/trainer and conf/callbacks",
    "torch.export": _EXPORT,
    "torch._export": _EXPORT,
    "torch._dynamo": _EXPORT,
    "torch._functorch": _EXPORT,
    "torch._higher_order_ops": _EXPORT,
    "torch._subclasses": _EXPORT,
    "torch.fx": _EXPORT,
    "torch.jit": _EXPORT,
    "torch.onnx": _EXPORT,
    "torch._inductor": "PyTorch cannot compile this network; install g++, or leave aotinductor out of export.formats",
    "torch.distributed": "another process of this training has ended; mend what it says, then run it again",
    "torch.multiprocessing": _PROCESS,
    "torch.AcceleratorError": "the GPU has failed; see what `nvidia-smi` says, or take the processor: trainer=cpu",
    "torch.cuda": "the GPU cannot be used; see what `nvidia-smi` says, or take the processor: trainer=cpu",
    "concurrent.futures._base.BrokenExecutor": _PROCESS,
    "ray": "Ray cannot do this; see what `ray status` says of the cluster, then run the same command again to go on",
    "psutil": "a process has ended while it was measured; run the same command again",
    # MLflow and its database
    "mlflow": "MLflow cannot do this; see what `unblur doctor` says of it, and the log of its server",
    "sqlite3": "a SQLite file cannot be used; see what `unblur doctor` says of it, or bring it back from a copy",
    "optuna": "Optuna cannot do this; see docs/sweeps.md, or give the study another name",
    "sqlalchemy": "MLflow's database cannot be used; see MLFLOW_TRACKING_URI, and what `unblur doctor` says of it",
    "alembic": "MLflow's database is of another version; bring it up with `mlflow db upgrade ADDRESS`",
}  # fmt: skip


def meaning(kind: type[BaseException]) -> str | None:
    """Return what an exception of this class means and how to mend it, or None for what no table can mend."""
    keys = [key for base in kind.__mro__ for key in _parts(f"{base.__module__}.{base.__qualname__}") if key in MEANINGS]
    return MEANINGS[max(keys, key=lambda key: key.count("."))] if keys else None


def _parts(name: str) -> list[str]:
    """Return a dotted name and all that it begins with: a.b.c, a.b, a."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
