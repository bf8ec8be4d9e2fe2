"""Builds the compiled modules, which nothing needs: without a compiler they are left out."""

import sysconfig
from pathlib import Path

from setuptools import Extension, setup

WITHOUT_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))  # they rely on it
SOURCES = {
    "_core._sizing": "src/boundedcollections/_core/_sizing.c",
    "files._folders": "src/boundedcollections/files/_folders.c",
    "lru._recency": "src/boundedcollections/lru/csrc/recency.c",
}

setup(
    ext_modules=[]
    if WITHOUT_GIL
    else [
        Extension(
            f"boundedcollections.{name}",
            [source],
            depends=[str(header) for header in Path(source).parent.glob("*.h")],
            optional=True,
        )
        for name, source in SOURCES.items()
    ]
)
