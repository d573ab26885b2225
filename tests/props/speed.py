#!/usr/bin/python3
"""`mithrilc check` takes less than 50 ms for each model: the least of five times, of the processor, process and all."""
import os, sys
sys.dont_write_bytecode = True
from common import *

for model in MODELS:
    times = []
    for _ in range(5):
        before = os.times()
        done = run(MITHRILC, "check", "models/%s/%s.mth" % (model, model), cwd=ROOT)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
        if done.returncode or done.stderr:
            check(False, "%s: exit code %d: %s" % (model, done.returncode, done.stderr.decode()[:200]))
            break
    else:
        check(min(times) < 0.050, "%s: want less than 50 ms, got %.0f ms" % (model, 1000 * min(times)))
finish()
