"""`unblur compose`: the configuration of the whole pipeline, and the code of each stage, in files that DVC watches."""

import argparse
from pathlib import Path

from unblur.config.entry import command
from unblur.errors import UsageError


@command
def main(argv: list[str]) -> int:
    """Compose conf/ with the overrides of a params file and of the command line."""
    parser = argparse.ArgumentParser(prog="unblur compose", description=__doc__)
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, such as model=nafnet seed=9")
    parser.add_argument("--params", type=Path, help="a YAML file with a list `overrides`, taken first")
    parser.add_argument("--out", type=Path, help="where to write; without it the configuration is printed")
    parser.add_argument("--code", type=Path, help="a folder for STAGE.json: the files of the package that a stage runs")
    parser.add_argument("--overwrite", action="store_true", help="replace what unblur did not make")
    options = parser.parse_intermixed_args(argv)

    from unblur.config.compose import checked, compose, is_composed, plain, read_params, to_yaml
    from unblur.pipeline.code import code_of_stages, write_code
    from unblur.safety.atomic import replacing
    from unblur.safety.owned import check_replaceable

    if options.code and not options.out:
        msg = "--code needs --out too: what a stage runs goes with the configuration that names its classes"
        raise UsageError(msg)
    config = compose([*(read_params(options.params) if options.params else ()), *options.overrides])
    checked(config)
    text = to_yaml(config)
    if options.out is None:
        print(text, end="")
        return 0
    check_replaceable(options.out, is_composed, options.overwrite)
    with replacing(options.out) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    if options.code:
        write_code(code_of_stages(plain(config)), options.code, options.overwrite)
    print(f"{options.out}: composed; use it with `unblur train --config {options.out}`")
    return 0


if __name__ == "__main__":
    main()
