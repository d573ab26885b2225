# mithrilc. `make` builds build/mithrilc with a C compiler and make alone; everything else is optional.
#
#   make          build/mithrilc             make check    sanitizers, warnings as errors, layers
#   make demo     a story told by generated C    make golden   writes tests/golden anew
#   make test     every test                 make bench    speed, memory, growth
#   make quick    the tests that take seconds    make install  to PREFIX
#   make clean

CC       ?= cc
CFLAGS   ?= -O2 -g
BUILD    ?= build
PREFIX   ?= /usr/local
PYTHON   ?= /usr/bin/python3
JOBS     ?= 2
STANDARD  = -std=c11 -D_POSIX_C_SOURCE=200809L
WARNINGS  = -Wall -Wextra -Wpedantic -Wshadow

COMPILER = $(wildcard compiler/*.c)
CODEGEN  = $(wildcard codegen/*.c)
TARGETS  = $(wildcard targets/*.c targets/*/*.c)
SOURCES  = $(COMPILER) $(CODEGEN) $(TARGETS)
LIBRARY  = $(wildcard models/std/*.mth)
OBJECTS  = $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/std.o
PARTS    = $(BUILD)/parts.a

# Is a header there? A # within a call of make is a comment to some versions and none to others.
HASH := \#
have  = $(shell printf '$(HASH)include <%s>\n' $(1) | $(CC) -x c -fsyntax-only - 2>/dev/null && echo yes)

# zlib reads compressed .npz files; without it they are refused with a clear message.
HAVE_ZLIB := $(call have,zlib.h)
ifeq ($(HAVE_ZLIB),yes)
DEFINES += -DHAVE_ZLIB
LIBS    += -lz
endif

all: $(BUILD)/mithrilc

$(BUILD)/mithrilc: $(OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJECTS) $(LIBS) -lm

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(STANDARD) $(WARNINGS) $(CFLAGS) $(DEFINES) -MMD -MP -c -o $@ $<

# All but main, for the tests that link the compiler.
$(PARTS): $(filter-out $(BUILD)/compiler/main.o,$(OBJECTS))
	@rm -f $@
	@ar rcs $@ $^

# The library, as string literals: one C string a line of .mth.
$(BUILD)/std.c: compiler/embed.sh $(LIBRARY)
	@mkdir -p $(@D)
	sh compiler/embed.sh $(LIBRARY) > $@.tmp && mv $@.tmp $@

$(BUILD)/std.o: $(BUILD)/std.c compiler/compiler.h
	$(CC) $(STANDARD) $(CFLAGS) -Icompiler -c -o $@ $<

install: $(BUILD)/mithrilc
	mkdir -p $(DESTDIR)$(PREFIX)/bin
	cp $(BUILD)/mithrilc $(DESTDIR)$(PREFIX)/bin/mithrilc

clean:
	rm -rf $(BUILD)

# ---- tests. The runner finds the cases; what it is given is a folder, or a program that ends with a count.

RUNNER  = $(BUILD)/tests/run
RUN     = $(RUNNER) -j $(JOBS) --build $(BUILD)
HELPERS = $(wildcard tests/run*.c)

HAVE_CMOCKA := $(call have,stdarg.h stddef.h setjmp.h stdint.h cmocka.h)
ifeq ($(HAVE_CMOCKA),yes)
UNITS = $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*.c))
else
MISSING_UNITS = "libcmocka-dev is missing: the C units are untested"
endif
EG   = $(patsubst tests/ops/%.c,$(BUILD)/tests/%,$(wildcard tests/ops/eg.c))
EGS  = $(if $(EG),"$(EG) models/std/ops.mth" "$(EG) models/llama/llama.mth")
UNIT = $(if $(wildcard tests/unit/*.c),$(if $(UNITS),$(BUILD)/tests/unit,--skip $(MISSING_UNITS)))

FAST   = tests/errors tests/lang tests/golden $(UNIT) $(EGS)
SLOW   = "$(PYTHON) tests/lang/grammar.py $(BUILD)/mithrilc check --dump=parse" "$(PYTHON) tests/ops/numpy.py" \
         "$(PYTHON) tests/models/language.py" $(GRAPHS) \
         $(patsubst %,"$(PYTHON) %",$(filter-out tests/props/common.py,$(wildcard tests/props/*.py))) tests/models

# Random programs against NumPy; `make fuzz-graphs N=10000 SEED=7` runs as many as one likes.
GRAPHS = $(if $(wildcard tests/fuzz/graphs.py),"$(PYTHON) tests/fuzz/graphs.py --count 300 --seed 1 --mithrilc $(BUILD)/mithrilc")
N     ?= 2000
SEED  ?= 1

$(RUNNER): $(HELPERS) tests/run.h
	@mkdir -p $(@D)
	$(CC) $(STANDARD) $(WARNINGS) -O1 -g -o $@ $(HELPERS) -lm

$(BUILD)/tests/unit/%: tests/unit/%.c $(PARTS)
	@mkdir -p $(@D)
	$(CC) $(STANDARD) $(WARNINGS) $(CFLAGS) $(DEFINES) $(LDFLAGS) -I. -Icompiler -o $@ $< $(PARTS) -lcmocka $(LIBS) -lm

$(BUILD)/tests/eg: tests/ops/eg.c $(PARTS)
	@mkdir -p $(@D)
	$(CC) $(STANDARD) $(WARNINGS) $(CFLAGS) $(DEFINES) $(LDFLAGS) -I. -Icompiler -o $@ $< $(PARTS) $(LIBS) -lm

quick: all $(RUNNER) $(UNITS) $(EG)
	@$(RUN) $(FAST)

# The tools first: another make then sees the libraries that were installed.
test:
	@sh tests/need.sh test
	@$(MAKE) --no-print-directory everything

everything: all $(RUNNER) $(UNITS) $(EG)
	@$(RUN) $(FAST) $(SLOW)

models: all $(RUNNER)
	@$(RUN) tests/models

fuzz-graphs: all
	@$(PYTHON) tests/fuzz/graphs.py --count $(N) --seed $(SEED) --mithrilc $(BUILD)/mithrilc

golden: all $(RUNNER)
	@$(RUN) --write tests/golden

demo:
	@sh tests/need.sh demo
	@sh tests/demo.sh

bench: all
	@sh tests/bench/nodes.sh

# ---- check: what a test cannot see

SANITIZE = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

check:
	@sh tests/layers.sh
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/gcc CC=gcc CFLAGS="-O2 -Werror" all
	@if command -v clang >/dev/null; then \
	    $(MAKE) --no-print-directory BUILD=$(BUILD)/clang CC=clang CFLAGS="-O2 -Werror" all; \
	 else echo "skip: no clang: its warnings are unseen"; fi
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitized CFLAGS="$(SANITIZE)" sanitized
	@sh tests/format.sh

sanitized: all $(RUNNER) $(UNITS) $(EG)
	@ASAN_OPTIONS=detect_leaks=0 $(RUN) $(FAST)

.PHONY: all install clean quick test everything models fuzz-graphs golden demo bench check sanitized
-include $(OBJECTS:.o=.d)
