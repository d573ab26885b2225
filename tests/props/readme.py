#!/usr/bin/python3
"""What README.md shows as generated is what is generated: each block of C stands in tests/golden/mlp.c or mlp.h, the model in mlp.mth."""
import re, sys
sys.dont_write_bytecode = True
from common import *

golden = "".join(open(ROOT + "/tests/golden/mlp" + end).read() for end in (".mth", ".h", ".c"))
readme = open(ROOT + "/README.md").read()
blocks = [b for kind, b in re.findall(r"^```(\w*)\n(.*?)^```", readme, re.S | re.M) if kind == "c" or "model Mlp" in b]
check(len(blocks) == 3, "want three blocks, found %d" % len(blocks))
for block in blocks:
    for part in block.strip().split("\n\n"):
        check(part in golden, "README.md shows what is not generated: `%s`" % part[:60].replace("\n", " "))
finish()
