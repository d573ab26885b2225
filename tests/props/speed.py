#!/usr/bin/python3
"""`mithrilc check` takes less than 50 ms for each model: the least of five times, process and all."""
import sys, time
sys.dont_write_bytecode = True
from common import *

for model in MODELS:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        done = run(MITHRILC, "check", "models/%s/%s.mth" % (model, model), cwd=ROOT)
        times.append(time.perf_counter() - start)
        if done.returncode or done.stderr:
            check(False, "%s: exit code %d: %s" % (model, done.returncode, done.stderr.decode()[:200]))
            break
    else:
        check(min(times) < 0.050, "%s: want less than 50 ms, got %.0f ms" % (model, 1000 * min(times)))
finish()
