"""Every layout by its name: what the modules of this folder define."""

from importlib import import_module
from pkgutil import iter_modules

from unblur.ingest import layouts
from unblur.ingest.layouts.layout import Layout

_MODULES = [
    import_module(f"{layouts.__name__}.{found.name}")
    for found in iter_modules(layouts.__path__)
    if found.name != "known"
]

LAYOUTS: dict[str, Layout] = {
    each.name: each for module in _MODULES for each in vars(module).values() if isinstance(each, Layout)
}
