# Sluice: a PostgreSQL-protocol proxy in front of Amazon Redshift.
#
#   make                build/sluice
#   make run            the whole thing on this machine: warehouse stand-in, cache, proxy (DEMO=1: the tour)
#   make test           unit and integration tests, under ASan and UBSan
#   make lint           format, layer fences, static analysis, generated references
#   make bench          Sluice beside pgbouncer, a bare relay and a direct connection
#   make fuzz           minutes of fuzzing       make soak   long runs      make drill   faults, with times
#   make test-drivers   every driver             make deploy                make install DESTDIR= PREFIX=   make deb
#
# Options: SAN=1 (ASan, UBSan), SAN=thread (TSan), V=1 (show commands), CC=.
# How it is laid out: each layer is a library; a layer links only what it may use.

CC      ?= gcc
PREFIX  ?= /usr
VERSION := 0.1.0

LAYERS  := protocol auth routing proxy
SAN     ?=
ifeq ($(SAN),)
BUILD   := build
else ifeq ($(SAN),thread)
BUILD   := build/tsan
SANFLAGS := -fsanitize=thread
else
BUILD   := build/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wwrite-strings -Wstrict-prototypes \
            -Wmissing-prototypes -Wformat=2 -Wconversion -Wno-sign-conversion -Wimplicit-fallthrough \
            -Wundef -Wvla -Wbidi-chars=any -Wtrampolines -Wno-format-zero-length
# OpenSSF's Compiler Options Hardening Guide; what this compiler does not know is left out. That they reached
# the binary is a rule of `make lint`.
HARDEN   := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE \
            -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing \
            -fstrict-flex-arrays=3 -ftrivial-auto-var-init=zero -fzero-init-padding-bits=all
ifeq ($(SAN),)
OPTIMISE := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
else
OPTIMISE := -O1 -g
endif
HARDEN_OK := $(shell for f in $(HARDEN); do echo 'int x;' | $(CC) $$f -Werror -xc -c - -o /dev/null 2>/dev/null && echo $$f; done)
CFLAGS  += -std=gnu17 -D_GNU_SOURCE= -I. $(OPTIMISE) $(WARNINGS) $(HARDEN_OK) $(SANFLAGS) -DSLUICE_VERSION='"$(VERSION)"' -MMD -MP
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed,--no-copy-dt-needed-entries $(SANFLAGS)

# What each layer may link: the fence that `make lint` checks again by include.
LIBS_protocol := -lcjson
LIBS_auth     := -lcrypto -lexpat
LIBS_routing  := -lpcre2-8 -lcrypto
LIBS_proxy    := -luv -lssl -lcrypto -lcurl -lhiredis
LIBS          := $(LIBS_proxy) $(LIBS_routing) $(LIBS_auth) $(LIBS_protocol) -lm -lpthread

sources  = $(filter-out proxy/main.c,$(wildcard $(1)/*.c $(1)/*/*.c))
objects  = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources,$(1)))
archives = $(patsubst %,$(BUILD)/lib%.a,$(1))

ifeq ($(V),)
Q := @
say = @printf '  %-7s %s\n' $(1) $(2)
else
say = @:
endif

all: $(BUILD)/sluice

$(BUILD)/sluice: $(BUILD)/obj/proxy/main.o $(call archives,proxy routing auth protocol)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

define layer
$(BUILD)/lib$(1).a: $$(call objects,$(1))
	$$(call say,AR,$$@)
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))

$(BUILD)/obj/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# What the assembler includes is seen by no -MMD.
$(BUILD)/obj/proxy/dashboard/assets.o: $(wildcard proxy/dashboard/*.html proxy/dashboard/*.js \
    proxy/dashboard/*.css proxy/dashboard/*.svg)

# ---- unit tests: tests/unit/test_X.c, one cmocka program each ------------------------------------
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
unit-tests: $(UNIT_TESTS)
$(BUILD)/unit/%: tests/unit/%.c $(call archives,proxy routing auth protocol)
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Itests $(LDFLAGS) -o $@ $< $(call archives,proxy routing auth protocol) -lcmocka $(LIBS)

# ---- housekeeping --------------------------------------------------------------------------------
-include tests/tests.mk

clean:
	rm -rf build

.PHONY: all clean unit-tests run test lint bench fuzz soak drill test-drivers deploy install
.DELETE_ON_ERROR:
-include $(shell [ -d $(BUILD) ] && find $(BUILD) -name '*.d' -type f)
