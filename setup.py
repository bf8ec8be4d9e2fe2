"""Builds the compiled modules, which nothing needs: without a compiler they are left out."""

import sysconfig

from setuptools import Extension, setup

WITHOUT_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))  # they rely on it
MODULES = ("_core/_sizing", "lru/_recency")

setup(
    ext_modules=[]
    if WITHOUT_GIL
    else [
        Extension(
            f"boundedcollections.{module.replace('/', '.')}",
            [f"src/boundedcollections/{module}.c"],
            optional=True,
        )
        for module in MODULES
    ]
)
