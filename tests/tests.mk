# tests.mk: everything outside of the product: tests, lint, fuzzing, benches, the demonstration.
# Included by the top Makefile, whose variables it uses.

# Every tool finds the tree and the build directory by these.
export SLUICE_ROOT  := $(CURDIR)
export SLUICE_BUILD  = $(CURDIR)/$(BUILD)

# ONLY=word: of several, those with that word in their name.
chosen = $(if $(ONLY),$(foreach t,$(1),$(if $(findstring $(ONLY),$t),$t)),$(1))

product := $(call archives,proxy routing auth protocol)

# ---- integration tests: tests/integration/test_X.c, cmocka and libpq against real servers ---------
INTEGRATION_TESTS := $(patsubst tests/integration/%.c,$(BUILD)/integration/%,$(wildcard tests/integration/test_*.c))
# Programs that tests start: doubles and disturbers.
TEST_TOOLS        := $(BUILD)/tools/redshift $(BUILD)/tools/faultproxy $(BUILD)/tools/aws
support_objects   := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/support/*.c))
libpq_include     := $(shell pg_config --includedir 2>/dev/null || echo /usr/include/postgresql)

test_flags := -Itests -I$(libpq_include)
$(BUILD)/obj/tests/%.o: CFLAGS += $(test_flags)

$(BUILD)/libsupport.a: $(support_objects)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/integration/%: tests/integration/%.c $(BUILD)/libsupport.a $(product)
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(test_flags) $(LDFLAGS) -o $@ $< $(BUILD)/libsupport.a $(product) -lcmocka -lpq $(LIBS)

$(BUILD)/tools/%: tests/fake/%.c
	$(call say,TOOL,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(test_flags) $(LDFLAGS) -o $@ $< -lssl -lcrypto

$(BUILD)/tools/redshift: tests/fake/redshift.c tests/fake/redshift_s3.c tests/fake/redshift_s3.h
	$(call say,TOOL,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(test_flags) $(LDFLAGS) -MF $@.d -o $@ $(filter %.c,$^) -lssl -lcrypto

# The AWS side on a command line, for tests/aws/second_opinion.py.
$(BUILD)/tools/aws: tests/aws/aws.c $(product)
	$(call say,TOOL,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(test_flags) $(LDFLAGS) -o $@ $< $(product) $(LIBS)

# No passwords anywhere, against moto's STS and Redshift; skips where PyPI cannot be reached.
test-aws: all
	@tests/aws/in.sh
	@CORE=1 tests/aws/out.sh
.PHONY: test-aws

integration-tests: $(INTEGRATION_TESTS) $(TEST_TOOLS)

# The policy's oracles (below), for a short while.
POLICY_ORACLES      := $(if $(wildcard /usr/include/pg_query.h),differential) acl_oracle
POLICY_TEST_SECONDS ?= 15
test: export POLICY_SECONDS = $(POLICY_TEST_SECONDS)

# Under ASan and UBSan, always.
ifeq ($(SAN),)
test:
	@$(MAKE) --no-print-directory SAN=1 test
else
# Scripts among the tests need the binary, and the programs that they start.
SCRIPT_TESTS := $(if $(wildcard proxy/main.c),$(wildcard tests/integration/*.sh))
test: $(if $(wildcard proxy/main.c),all) unit-tests integration-tests $(BUILD)/soak/crosstalk \
      $(patsubst %,$(BUILD)/policy/%,$(POLICY_ORACLES))
	@tests/run.sh $(call chosen,$(UNIT_TESTS) $(INTEGRATION_TESTS) $(SCRIPT_TESTS) $(patsubst %,$(BUILD)/policy/%,$(POLICY_ORACLES)))
endif

# ---- lint -------------------------------------------------------------------------------------------
lint: $(product) all
	+@tests/lint/lint.sh
# Does each of its rules find what it is for?
lint-test: $(product)
	@tests/lint/self_test.sh

# Static analysis, a stamp per file, so that only what changed is looked at again.
ANALYSED := $(foreach l,$(LAYERS),$(call sources,$l)) $(wildcard proxy/main.c)
analysis: $(patsubst %.c,$(BUILD)/lint/%.ok,$(ANALYSED))
$(BUILD)/lint/%.ok: %.c .clang-tidy
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- -std=gnu17 -D_GNU_SOURCE= -I. -DSLUICE_VERSION='""' 2>/dev/null
	$(Q)$(CC) -std=gnu17 -I. -DSLUICE_VERSION='""' -MM -MP -MT $@ -MF $(@:.ok=.d) $< && touch $@

# ---- fuzzing: tests/fuzz/fuzz_X.c, each with the whole product built for libFuzzer ------------------
FUZZ_SECONDS ?= 120
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_FLAGS   := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ifneq ($(FUZZING),)
fuzz-programs: $(patsubst %,$(BUILD)/%,$(FUZZ_TARGETS))
$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(product)
	$(call say,FUZZ,$<)
	$(Q)$(CC) $(CFLAGS) -Itests $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(product) $(LIBS)
endif
fuzz:
	@$(MAKE) --no-print-directory FUZZING=1 BUILD=build/fuzz CC=clang SANFLAGS='$(FUZZ_FLAGS)' \
	    OPTIMISE='-O1 -g' WARNINGS='-Wall -Wextra' fuzz-programs
	@tests/fuzz/fuzz.sh build/fuzz $(FUZZ_SECONDS) $(call chosen,$(FUZZ_TARGETS))
	$(if $(call chosen,policy),@$(MAKE) --no-print-directory SAN=1 policy)

# ---- the policy's oracles: what is allowed, judged again by libpg_query and by PostgreSQL ------------
POLICY_SECONDS ?= 600
export POLICY_SECONDS
policy_shared  := tests/policy/world.c tests/policy/generate.c
$(BUILD)/policy/differential: policy_more := tests/policy/ast_policy.c -lpg_query -lcjson
$(BUILD)/policy/acl_oracle: policy_more := $(BUILD)/libsupport.a -lpq
$(BUILD)/policy/%: tests/policy/%.c $(wildcard tests/policy/*.[ch]) $(BUILD)/libsupport.a $(product)
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(test_flags) $(LDFLAGS) -o $@ $< $(policy_shared) $(policy_more) $(product) $(LIBS)
policy: $(patsubst %,$(BUILD)/policy/%,$(POLICY_ORACLES))
	@[ -f /usr/include/pg_query.h ] || echo '# SKIP differential: libpg-query-dev is not installed'
	@TEST_LIMIT_S=$$(($(POLICY_SECONDS) + 300)) tests/run.sh $^

# ---- the long ones ----------------------------------------------------------------------------------
# The packages come first: a fresh machine cannot compile without them.
run:
	@tests/support/packages.sh build run
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@deploy/run/run.sh

bench-programs: $(patsubst %,$(BUILD)/bench/%,relay nullpg load route effects judge)
$(BUILD)/bench/route: tests/unit/routes.h
$(BUILD)/bench/route $(BUILD)/bench/effects $(BUILD)/bench/judge: $(BUILD)/bench/%: tests/bench/%.c $(product)
	$(call say,BENCH,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(test_flags) $(LDFLAGS) -o $@ $< $(product) $(LIBS)
$(BUILD)/bench/%: tests/bench/%.c tests/bench/loop.h
	$(call say,BENCH,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(test_flags) $(LDFLAGS) -o $@ $< -lssl -lcrypto
# What proxy/io costs without PostgreSQL; run by hand, see its head.
$(BUILD)/bench/io_cost: tests/bench/io_cost.c $(product)
	$(call say,BENCH,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(test_flags) $(LDFLAGS) -o $@ $< $(product) $(LIBS)
bench: $(if $(wildcard proxy/main.c),all) bench-programs
	@tests/support/packages.sh build bench
	@$(BUILD)/bench/route
	@$(BUILD)/bench/effects
	@tests/bench/bench.py

# The cross-talk detector, ten minutes for each mode (SOAK_SECONDS).
$(BUILD)/soak/%: tests/soak/%.c
	$(call say,SOAK,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(test_flags) $(LDFLAGS) -o $@ $< -lpq
soak: all $(BUILD)/soak/crosstalk $(BUILD)/integration/test_iam $(BUILD)/integration/test_lease $(TEST_TOOLS) $(patsubst %,$(BUILD)/integration/test_%,sessions multiplexing pooling)
	@tests/soak/soak.sh
	@STORM=10000 LOAD_S=60 CORE=1 tests/aws/out.sh

# The same until each kind of operation was seen a thousand times; with SAN=thread and SAN=1.
soak-each: all $(BUILD)/soak/crosstalk
	@SOAK_ONLY_MODES=1 SOAK_MODES=transaction SOAK_EACH=$(or $(SOAK_EACH),1000) SOAK_CLIENTS=$(or $(SOAK_CLIENTS),40) \
	    SOAK_SECONDS=$(or $(SOAK_SECONDS),3600) tests/soak/soak.sh

# Faults, with times.
drill: all $(BUILD)/soak/crosstalk $(TEST_TOOLS)
	@tests/drill/drill.sh
	@TEST_JOBS=1 tests/run.sh tests/drill/routes.sh tests/drill/dynamo.sh
	@tests/drill/causes.sh
	@tests/drill/flood.sh
	@RELOADS=100 CERTIFICATES=20 PAUSES=10 RESTARTS=5 tests/integration/change.sh

# Drivers, each through its scenarios: straight, in session mode, in transaction mode, before the fake of Redshift.
# DRIVERS="psql pgx" and TARGETS="sluice" choose.
TARGETS ?= sluice sluice-transaction sluice-routed sluice-one redshift
test-drivers: all $(TEST_TOOLS)
	@tests/support/packages.sh build test drivers
	@status=0; for target in $(TARGETS); do TARGET=$$target tests/drivers/run.sh || status=1; done; for more in truststore versions navigator; do tests/drivers/$$more.sh || status=1; done; exit $$status

# The dashboard in a headless Chromium (Debian's, and playwright-core from npm); screenshots in build/browser/shots.
test-browser: all
	@tests/browser/run.sh

# PostgreSQL's own regression tests, through Sluice as directly.
regress: all
	@REGRESS=postgresql tests/regress/run.sh

install: all
	install -D -m 755 $(BUILD)/sluice $(DESTDIR)$(PREFIX)/bin/sluice
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(BUILD)/sluice describe manual | gzip -9n >$(DESTDIR)$(PREFIX)/share/man/man1/sluice.1.gz
	$(BUILD)/sluice describe completion >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/sluice
	install -D -m 644 deploy/systemd/sluice.service $(DESTDIR)/usr/lib/systemd/system/sluice.service
	install -D -m 644 deploy/systemd/sluice.socket $(DESTDIR)/usr/lib/systemd/system/sluice.socket
	install -D -m 644 deploy/systemd/sysusers.conf $(DESTDIR)/usr/lib/sysusers.d/sluice.conf
	install -D -m 644 deploy/systemd/sluice.json $(DESTDIR)$(PREFIX)/share/doc/sluice/examples/sluice.json
	install -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/sluice/
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/sluice/deploy deploy/*.md

# Templates, manifests, unit, image, scripts and package, each by its linter (DEB= leaves the package out);
# then the templates as stacks in moto.
lint-deploy: all
	@DEB=$(if $(filter undefined,$(origin DEB)),1,$(DEB)) tests/deploy/lint.sh
	@tests/deploy/templates.sh
	@tests/deploy/deploy.sh

# The README's first screen on a bare Debian made by debootstrap, up to the refused SELECT, with times. As root.
try-fresh:
	@tests/deploy/fresh.sh
.PHONY: try-fresh

# deploy/docker/Dockerfile built by buildah on a base of debootstrap's, and its image run. As root.
image-test:
	@tests/support/packages.sh build test image
	@tests/deploy/image.sh
.PHONY: image-test

# Stacks of CloudFormation, by deploy/.env; DRY_RUN=1 prints the plan.
deploy:
	@deploy/deploy.sh

# A Debian package of what git has, in build/deb.
deb:
	@tests/support/packages.sh build package
	@deploy/debian/build.sh

.PHONY: soak-each deb lint-deploy policy lint-test regress integration-tests analysis fuzz-programs bench-programs
