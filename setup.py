"""Builds the one compiled module, which nothing needs: without a compiler it is left out."""

import sysconfig

from setuptools import Extension, setup

WITHOUT_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))  # reference counts prove nothing

setup(
    ext_modules=[]
    if WITHOUT_GIL
    else [
        Extension(
            "boundedcollections._core._sizing",
            ["src/boundedcollections/_core/_sizing.c"],
            optional=True,
        )
    ]
)
