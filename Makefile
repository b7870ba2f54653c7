# The door. `make try` shows the daemon at work, `make test` proves it. Everything else is for those who change it.
.PHONY: try stop build test bench deb crash systemd-test peers fuzz clean

try: ## Build, start the daemon on the embedded pilot, ask it something, show what it did.
	@scripts/try.sh

stop: ## Stop the daemon that `make try` left running.
	@scripts/stop.sh

build: ## Build the three programs in target/release.
	@scripts/deps.sh build
	cargo build --release --locked --bins

test: ## Format, lints, unit, property, conformance and client tests; ends with a count.
	@scripts/test.sh $(STAGES)

bench: ## What SPECIFICATION.md states, measured on this machine.
	cargo build --release --locked --bins
	cargo bench --locked --bench '*'

deb: ## The Debian package, in target/debian.
	@packaging/build-deb.sh

crash: ## 500 rounds of kill -9 against the promises of the ledger, and as many against those of the store.
	@MAINS_CRASH_ROUNDS=500 scripts/test.sh crash

systemd-test: ## The units under systemd 252 and 257, booted with systemd-nspawn; as root.
	@tests/systemd/run.sh

peers: ## Exports and token ids against llama.cpp and the package `tokenizers`.
	@scripts/test.sh peers

fuzz: ## Every fuzz target for a minute, side by side; installs a nightly toolchain and cargo-fuzz where they are missing.
	@scripts/fuzz.sh 60

clean:
	cargo clean
