# leadstream: build, install and test.
#
#   make && sudo make install     the extension, for the PostgreSQL of pg_config
#   make installcheck             regress and isolation tests on a running server
#   make test [TESTS=...]         every test, on a throw-away server (test/run.sh)
#   make matrix [SUITES=...]      that on each Debian suite's PostgreSQL (test/matrix.sh)
#   make demo [DATA=folder]       the main job, shown on a throw-away server
#   make fuzz [FUZZ_SECONDS=...]  the type against bytes made up (test/fuzz/fuzz.sh)
#   make coverage [TESTS=...]     which of our C the tests run (test/coverage.sh)
#   make asserts [TESTS=...]      on a server with assertions (test/valgrind.sh)
#   make valgrind [TESTS=...]     and that under valgrind
#   make sanitize [TESTS=...]     undefined behaviour
#   make bench [FULL=1]           every bar beside its rivals (test/bench/bench.sh)
#   make dev                      psql on a throw-away server with this tree
#
# They install what is missing (Debian; matrix: in roots), build a private copy and
# touch neither this tree nor PostgreSQL's folders nor any existing cluster.

# The control file is the one place that knows the version.
EXTENSION   = leadstream
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" leadstream.control)

MODULE_big = leadstream
GENERATED  = src/rule_gram.c src/rule_gram.h src/rule_scan.c
OBJS       = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c) src/rule_gram.c src/rule_scan.c))
INCLUDED   = $(wildcard src/*.h)
SCHEMA     = $(sort $(wildcard src/schema/*.sql))
# the ways here from older versions, leadstream--OLD--NEW.sql
DATA       = $(wildcard src/schema/updates/$(EXTENSION)--*--*.sql)
DATA_built = $(EXTENSION)--$(EXTVERSION).sql

# Unused parameters and the other silenced warnings are part of the fmgr
# protocol and of PostgreSQL's own headers; everything else is worth a look.
PG_CFLAGS += -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
             -Wno-missing-field-initializers -Wno-cast-function-type

# "install" makes the extension for the tests behind it, "uninstall" drops it.
REGRESS_ALL  = $(patsubst test/regress/sql/%.sql,%,$(sort $(wildcard test/regress/sql/*.sql)))
REGRESS      = $(filter install,$(REGRESS_ALL)) \
               $(filter-out install uninstall,$(REGRESS_ALL)) \
               $(filter uninstall,$(REGRESS_ALL))
REGRESS_OPTS = --inputdir=test/regress \
               $(if $(filter install,$(REGRESS_ALL)),,--load-extension=leadstream)
ISOLATION    = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=leadstream

EXTRA_CLEAN = $(GENERATED) $(DATA_built).tmp results regression.diffs regression.out output_iso

PG_CONFIG ?= pg_config

# The scripts build by themselves, so these goals must work where PostgreSQL is
# not installed yet: PGXS is left out for them.  (It would also take the DATA
# of "make demo DATA=..." for a list of files to install.)
SCRIPTED = test matrix fuzz coverage asserts valgrind sanitize demo bench dev
ifneq (,$(filter $(SCRIPTED),$(MAKECMDGOALS)))

ifneq (,$(filter-out $(SCRIPTED),$(MAKECMDGOALS)))
$(error $(SCRIPTED) cannot be combined with other goals)
endif

test:
	@bash test/run.sh $(if $(DATA),--data '$(DATA)') $(TESTS)
matrix:
	@bash test/matrix.sh $(if $(TESTS),--tests '$(TESTS)') $(SUITES)
fuzz:
	@bash test/fuzz/fuzz.sh $(if $(KEEP),--keep '$(KEEP)') $(FUZZ_SECONDS)
coverage:
	@bash test/coverage.sh $(if $(MISSING),--missing) $(TESTS)
asserts:
	@bash test/valgrind.sh --asserts $(TESTS)
valgrind:
	@bash test/valgrind.sh $(TESTS)
sanitize:
	@$(foreach suite,$(or $(firstword $(TESTS)),regress isolation),bash test/run.sh --sanitize $(suite) $(wordlist 2,99,$(TESTS)) &&) :
demo:
	@bash test/demo/demo.sh $(if $(DATA),--data '$(DATA)')
bench:
	@bash test/bench/bench.sh $(if $(FULL),--full) $(if $(OUT),--out '$(OUT)') $(if $(ONLY),--only '$(ONLY)')
dev:
	@bash test/run.sh --shell

else

PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifeq (,$(PGXS))
$(error PostgreSQL's development files are missing: install postgresql-server-dev-15 or a later one, or set PG_CONFIG)
endif

# Bitcode is for JIT inlining only; without the compiler that PostgreSQL was
# built with the extension does as well without it.
ifeq (,$(shell command -v $$(sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global) 2>/dev/null))
override with_llvm = no
endif

include $(PGXS)

# An extension script is one file to the server and several to its readers.
$(DATA_built): $(SCHEMA) leadstream.control
	cat $(SCHEMA) >$@.tmp
	mv $@.tmp $@

src/rule_gram.c: src/rule_gram.y
	$(BISON) $(BISONFLAGS) -d -o $@ $<

# bison writes both files in one go; this makes the order plain to make -j.
src/rule_gram.h: src/rule_gram.c
	@touch $@

src/rule_scan.c: src/rule_scan.l
	$(FLEX) $(FLEXFLAGS) -o $@ $<

# PGXS tracks no includes.  The tree is small: any header rebuilds all of it.
$(OBJS) $(OBJS:.o=.bc): $(INCLUDED) src/rule_gram.h

endif

.PHONY: test matrix fuzz coverage asserts valgrind sanitize demo bench dev
