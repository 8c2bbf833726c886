# The words of README.md and .ci/run. `just` alone lists them.

[private]
default:
    @{{ just_executable() }} --list --unsorted

# the whole tour on the sandbox host: nothing to set up
demo:
    go run ./cmd/bivy demo

# all tests; those that need sshd skip without it, or fail with BIVY_REQUIRE_SSHD=1
test:
    go test ./...

# formats, vet, golangci-lint, modules
lint:
    .ci/run lint

# every fuzz target for FUZZTIME (default 30s) each
fuzz:
    #!/usr/bin/env bash
    set -euo pipefail
    # -list prints the targets of a package, then "ok PACKAGE SECONDS".
    go test -list '^Fuzz' ./... |
        awk '/^Fuzz/ { names[++n] = $1 } /^ok/ { for (i = 1; i <= n; i++) print names[i], $2; n = 0 }' |
        while read -r name package; do
            echo "== $name of $package"
            go test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-30s}" "$package" </dev/null
        done

# the core on other releases of OpenSSH, fetched from Debian into DIR
versions DIR:
    integration/versions.sh '{{ DIR }}'
    BIVY_OPENSSH='{{ DIR }}' go test -count=1 -v -timeout 30m -run '^TestOpenSSHVersions$' ./integration/

# speed, as ratios to plain ssh and git side by side
bench:
    go run ./integration/bench

# the binaries ./bivy and, for `bivy mcp`, ./bivy-mcp, without C libraries
build:
    CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -tags split -o bivy ./cmd/bivy
    CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bivy-mcp ./cmd/bivy
