#!/bin/sh
# Fetches other releases of OpenSSH from Debian into DIR, for
# TestOpenSSHVersions: DIR/RELEASE holds the unpacked packages, patched so that
# the programs run from there. Nothing is installed. It needs Debian 12 or
# something like it, apt and the network, and takes about 60 MB.
#
#   integration/versions.sh DIR && BIVY_OPENSSH=DIR go test -run OpenSSHVersions ./integration/
set -eu

[ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 80; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

# The suites, and what their programs need that Debian 12 does not have. A
# newer C library comes with its own loader.
suites='bullseye:libssl1.1 bookworm-backports: sid:libc6,libssl3t64,libwtmpdb0'

# apt with lists, cache and state of its own.
private() {
	command=$1
	shift
	"$command" -o Dir::Etc::sourcelist="$dir/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State="$dir/apt" \
		-o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt/cache" \
		-o APT::Sandbox::User=root -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
: >"$dir/apt/status"
for entry in $suites; do
	echo "deb [signed-by=$keys] $mirror ${entry%%:*} main"
done >"$dir/apt/sources.list"
private apt-get -q update
rm -rf "$dir/deb"
mkdir "$dir/deb"

# unpack SUITE INTO PACKAGE...
unpack() {
	suite=$1 into=$2
	shift 2
	for package in "$@"; do
		(cd "$dir/deb" && rm -f ./*.deb && private apt-get -q download "$package/$suite")
		for file in "$dir"/deb/*.deb; do dpkg-deb -x "$file" "$into"; done
	done
}

rm -rf "$dir/tools"
unpack bullseye "$dir/tools" patchelf
patchelf=$dir/tools/usr/bin/patchelf

for entry in $suites; do
	suite=${entry%%:*} new=$dir/new
	rm -rf "$new"
	# shellcheck disable=SC2046 # one word for each library
	unpack "$suite" "$new" openssh-client openssh-server $(echo "${entry#*:}" | tr , ' ')
	version=$(cd "$dir/deb" && private apt-cache show "openssh-client/$suite" | sed -n 's/^Version: [0-9]*:\([0-9.]*\)p.*/\1/p' | head -n 1)
	target=$dir/$version
	rm -rf "$target"
	mv "$new" "$target"
	libraries=$(find "$target/usr/lib" "$target/lib" -name 'lib*.so.*' -exec dirname {} \; 2>/dev/null | sort -u | paste -s -d : -)
	loader=$(find "$target" -name 'ld-linux*.so.*' -type f | head -n 1)
	for program in "$target/usr/bin/ssh" "$target/usr/sbin/sshd" "$target"/usr/lib/openssh/sshd-*; do
		[ -e "$program" ] || continue
		[ -z "$libraries" ] || "$patchelf" --set-rpath "$libraries" --force-rpath "$program"
		[ -z "$loader" ] || "$patchelf" --set-interpreter "$loader" "$program"
	done
	if ! "$target/usr/bin/ssh" -V; then
		echo "OpenSSH $version of $suite does not run here" >&2
		rm -rf "$target"
	fi
done
rm -rf "$dir/apt" "$dir/deb" "$dir/tools"
