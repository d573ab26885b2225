# mithrilc. `make` builds build/mithrilc with a C compiler and make alone; everything else is optional.

CC       ?= cc
CFLAGS   ?= -O2 -g
BUILD    ?= build
STANDARD  = -std=c11 -D_POSIX_C_SOURCE=200809L
WARNINGS  = -Wall -Wextra -Wpedantic -Wshadow

COMPILER = $(wildcard compiler/*.c)
CODEGEN  = $(wildcard codegen/*.c)
TARGETS  = $(wildcard targets/*.c targets/*/*.c)
SOURCES  = $(COMPILER) $(CODEGEN) $(TARGETS)
LIBRARY  = $(wildcard models/std/*.mth)
OBJECTS  = $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/std.o
UNITS    = $(filter-out $(BUILD)/compiler/main.o,$(OBJECTS))

# zlib reads compressed .npz files; without it they are refused with a clear message.
HAVE_ZLIB := $(shell printf '\#include <zlib.h>\nint main(void) { return zlibVersion() == 0; }\n' | \
                     $(CC) -x c - -o /dev/null -lz 2>/dev/null && echo yes)
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

# The library, as string literals: one C string a line of .mth.
$(BUILD)/std.c: compiler/embed.sh $(LIBRARY)
	@mkdir -p $(@D)
	sh compiler/embed.sh $(LIBRARY) > $@.tmp && mv $@.tmp $@

$(BUILD)/std.o: $(BUILD)/std.c compiler/compiler.h
	$(CC) $(STANDARD) $(CFLAGS) -Icompiler -c -o $@ $<

clean:
	rm -rf $(BUILD)

.PHONY: all clean
-include $(OBJECTS:.o=.d)
