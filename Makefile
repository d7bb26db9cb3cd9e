SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
V := .venv
BIN := $(V)/bin
LIGHT := .venv-agent
SBOM := .venv-sbom
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-input

PACKAGES := models agent collector dashboards deploy/demo
DEMO_PACKAGES := models agent collector deploy/demo
editable = $(foreach package,$(1),-e $(package))
projects = $(addsuffix /pyproject.toml,$(1))

# file=module or file=module:argument: each file is what the module prints.
GENERATED := docs/quantities.md=jauge_models.document \
  docs/metrics.md=jauge_models.document:metrics \
  docs/sources/README.md=jauge_agent.document:sources \
  $(foreach source,host rapl hwmon power_supply snmp redfish ipmi modbus nvml \
      libvirt proxmox vsphere mqtt,\
    docs/sources/$(source).md=jauge_agent.document:source:$(source)) \
  docs/commands.md=jauge_demo.document \
  docs/compliance.md=jauge_models.compliance.document \
  agent/jauge_agent/agent.sample.toml=jauge_agent.document \
  $(foreach kind,collector site mapping,\
    collector/jauge_collector/$(kind).sample.toml=jauge_collector.document:$(kind)) \
  collector/jauge_collector/registers/samples/policy.toml=jauge_collector.document:policy

# program=Debian package, or several: what the tests start for real.
REAL_PARTS := mosquitto=mosquitto victoria-metrics=victoria-metrics promtool=prometheus \
  prometheus-alertmanager=prometheus-alertmanager amtool=prometheus-alertmanager \
  vmalert-tool=victoria-metrics vmalert=victoria-metrics prometheus-node-exporter=prometheus-node-exporter chromium=chromium \
  strace=strace cryptsetup=cryptsetup-bin openssl=openssl shellcheck=shellcheck \
  faketime=faketime ip=iproute2 nsenter=util-linux \
  snmpd=snmpd ipmi_sim=openipmi ipmi-dcmi=freeipmi-tools \
  go=golang-go,golang-github-vmware-govmomi-dev,golang-github-google-uuid-dev \
  libvirtd=libvirt-daemon,libvirt-daemon-driver-qemu virsh=libvirt-clients \
  qemu-system-x86_64=qemu-system-x86 setpriv=util-linux

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- what users run

.PHONY: demo
demo: $(if $(wildcard $(V)/installed),$(V)/installed,$(V)/installed-demo) ## everything on this machine, with a simulated site; Ctrl-C stops it
	@exec $(BIN)/jauge-demo $(ARGS)

.PHONY: install
install: $(V)/installed ## everything into .venv

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Jauge needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@$(PYTHON) -m venv $(V)

# --no-compile: the first import compiles what it needs, which is a small part.
$(V)/installed-demo: requirements/demo.txt $(call projects,$(DEMO_PACKAGES)) | $(BIN)/python
	@echo "installing into $(V) (once)"
	@$(BIN)/python $(PIP_INSTALL) --no-compile --require-hashes -r $<
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation $(call editable,$(DEMO_PACKAGES))
	@touch $@

$(V)/installed: requirements/dev.txt $(call projects,$(PACKAGES)) | $(BIN)/python
	@echo "installing into $(V) (once)"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r $<
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation $(call editable,$(PACKAGES))
	@touch $@

# --- what developers run

# Most tests wait for real programs; the files of one folder or module stay together.
JOBS ?= 3
SIDE_BY_SIDE = --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: test
test: install real-parts test-light-agent $(SBOM)/installed ## all tests; installs or names the real parts they start
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

.PHONY: test-light-agent
test-light-agent: $(LIGHT)/installed ## the agent's tests where only models and agent are installed
	@$(LIGHT)/bin/python -m pytest $(SIDE_BY_SIDE) tests/agent

# Wheels, not editable installs: what a server gets, data files included.
$(LIGHT)/installed: requirements/agent.txt requirements/agent-tests.txt $(V)/installed \
    $(shell find models/jauge_models agent/jauge_agent -type f -not -name '*.pyc')
	@rm -rf $(LIGHT)
	@$(BIN)/python -m venv $(LIGHT)
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --wheel-dir $(LIGHT)/wheels ./models ./agent
	@$(LIGHT)/bin/python $(PIP_INSTALL) --require-hashes -r requirements/agent.txt
	@$(LIGHT)/bin/python $(PIP_INSTALL) --no-deps --no-index $(LIGHT)/wheels/*.whl
	@$(LIGHT)/bin/python -m pip check --quiet --disable-pip-version-check
	@$(LIGHT)/bin/python $(PIP_INSTALL) --require-hashes -r requirements/agent-tests.txt
	@touch $@

.PHONY: real-parts
real-parts: ## the Debian packages that the tests start (as root; else their names)
	@missing=; for part in $(REAL_PARTS); do \
	  PATH="$$PATH:/usr/sbin" command -v "$${part%%=*}" >/dev/null || missing+=" $${part##*=}"; done; \
	missing=$${missing//,/ }; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing"; export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing; } >/dev/null \
	    || echo "could not install$$missing: the tests that start them will skip" >&2; \
	elif [ -n "$$missing" ]; then \
	  echo "not installed:$$missing; the tests that start them will skip" >&2; \
	fi

.PHONY: check
check: install check-hosts check-generated ## format, lint, types, walls, generated files, dashboards, no host or machine path
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-logo --no-cache >/dev/null || { $(BIN)/lint-imports --no-logo; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/jauge-dashboards check >/dev/null
	@echo "check: fine"

.PHONY: check-hosts
check-hosts:
	@git grep --untracked -nIE \
	  'pypi[.]org|python[h]osted[.]|registry[.]npmjs|deb[.]debian[.]org|proxy[.]golang|(^|[^a-z])/(work|farm|root)/' -- .; \
	[ $$? -eq 1 ] || { echo "no file may name a package registry or a path of one machine" >&2; exit 1; }

.PHONY: generate
generate: install ## write the generated files
	@set -e; for pair in $(GENERATED); do IFS=: read -r module argument <<<"$${pair##*=}"; \
	  $(BIN)/python -m "$$module" $$argument >"$${pair%%=*}.new"; mv "$${pair%%=*}.new" "$${pair%%=*}"; done
	@$(BIN)/python -m jauge_dashboards.building
	@$(BIN)/python -m jauge_dashboards.alerts.build

.PHONY: check-generated
check-generated: install
	@stale=; for pair in $(GENERATED); do IFS=: read -r module argument <<<"$${pair##*=}"; \
	  $(BIN)/python -m "$$module" $$argument | cmp --quiet - "$${pair%%=*}" || stale+=" $${pair%%=*}"; done; \
	[ -z "$$stale" ] || { echo "not as generated:$$stale; run: make generate" >&2; exit 1; }

.PHONY: faults
faults: install real-parts ## every fault against real processes, each reading accounted for
	@$(BIN)/python -m tests.faults $(ARGS)

# collectd's MQTT plugin needs the client library, which mosquitto-clients brings.
.PHONY: bench
bench: REAL_PARTS += collectd=collectd-core mosquitto_pub=mosquitto-clients
bench: install real-parts ## the tables of docs/benchmarks.md, measured on this machine
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: dist
dist: install ## archives for an offline installation, in dist/
	@deploy/dist.sh --python $(BIN)/python $(ARGS)

.PHONY: lint-deploy
lint-deploy: install ## roles and plays, at the strictest profile
	@cd deploy/ansible && PATH="$(CURDIR)/$(BIN):$$PATH" && ansible-lint --offline --profile production && \
	  yamllint . && shellcheck ../dist.sh ../mosquitto/certificates.sh

# Debian's own systemd in containers: broker, collector, agents; each play, and what may go wrong.
.PHONY: test-deploy
test-deploy: REAL_PARTS += systemd-nspawn=systemd-container debootstrap=debootstrap ssh=openssh-client
test-deploy: install real-parts ## the plays against real Debian hosts that it boots (as root)
	@JAUGE_REAL_HOSTS=1 $(BIN)/python -m pytest -s -v tests/deploy/test_site.py tests/deploy/test_bookworm.py $(ARGS)

# npm parts are for developers only; nothing that users install brings them.
PREVIEW := dashboards/preview
.PHONY: preview
preview: install real-parts $(PREVIEW)/dist/index.html ## pictures of every dashboard by Grafana's own panels (needs npm)
	@$(BIN)/python -m tests.preview $(ARGS)

$(PREVIEW)/node_modules: $(PREVIEW)/package.json
	@command -v npm >/dev/null || { echo "make preview needs node and npm (Debian: nodejs npm)" >&2; exit 2; }
	@cd $(PREVIEW) && npm install --silent && touch node_modules

$(PREVIEW)/dist/index.html: $(PREVIEW)/node_modules $(wildcard $(PREVIEW)/src/*) \
    $(PREVIEW)/index.html $(PREVIEW)/vite.config.js
	@cd $(PREVIEW) && npm run --silent build

# The second time Grafana must have kept everything as it was written.
.PHONY: grafana-smoke
grafana-smoke: install ## URL=… TOKEN_FILE=…: the dashboards into a running Grafana, twice
	@$(BIN)/jauge-dashboards push --url "$(URL)" --token-file "$(TOKEN_FILE)"
	@again=$$($(BIN)/jauge-dashboards push --url "$(URL)" --token-file "$(TOKEN_FILE)"); \
	! grep -v unchanged <<<"$$again" || { echo "Grafana did not keep these as written" >&2; exit 1; }

# Universal, hashed, without an index address. Versions stay unless UPGRADE=--upgrade.
LOCK = .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
  $(addprefix --no-emit-package jauge-,models agent collector dashboards demo) $(UPGRADE)

.PHONY: lock
lock: ## requirements/*.txt anew from the pyproject.toml files; UPGRADE=--upgrade moves versions
	@[ -x .venv-lock/bin/uv ] || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python $(PIP_INSTALL) uv; }
	@$(LOCK) --group dev --all-extras $(call projects,$(PACKAGES)) -o requirements/dev.txt
	@$(LOCK) -c requirements/dev.txt --group build $(call projects,$(DEMO_PACKAGES)) -o requirements/demo.txt
	@$(LOCK) -c requirements/dev.txt $(call projects,models collector) -o requirements/collector.txt
	@$(LOCK) -c requirements/dev.txt $(call projects,models dashboards) -o requirements/dashboards.txt
	@$(LOCK) -c requirements/dev.txt $(call projects,models agent) -o requirements/agent.txt
	@$(LOCK) -c requirements/dev.txt --all-extras $(call projects,models agent) -o requirements/gateway.txt
	@$(LOCK) -c requirements/dev.txt --group test -o requirements/agent-tests.txt
	@$(LOCK) -c requirements/dev.txt --group sbom -o requirements/sbom.txt

$(SBOM)/installed: requirements/sbom.txt | $(BIN)/python
	@rm -rf $(SBOM)
	@$(BIN)/python -m venv $(SBOM)
	@$(SBOM)/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

.PHONY: sbom
sbom: install $(SBOM)/installed ## CycloneDX bills of materials of agent, collector and demo in build/
	@set -e; bill() { $(SBOM)/bin/python requirements/sbom.py "$${@:2}" --lock requirements/$$1.txt \
	    --installed $(V) --output build/sbom-$$1.cdx.json; }; \
	bill agent agent models; \
	bill collector collector models; \
	bill demo deploy/demo models agent collector

.PHONY: fuzz
fuzz: install ## made-up input for every decoder, file and page, ten minutes each; ARGS='--minutes 1 --only pages'
	@$(BIN)/python -m tests.fuzz $(ARGS)

.PHONY: clean
clean: ## environments and caches away; the demo's data too
	@rm -rf dashboards/preview/node_modules dashboards/preview/dist
	@rm -rf .venv .venv-agent .venv-bench .venv-lock .venv-sbom build .demo .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
