#!/usr/bin/env bash
# What servers install from, without a network: for each component and each Python one archive with the
# wheels of Jauge and of all that is locked, and a list of them with their hashes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
	cat <<'END'
usage: dist.sh [--out DIR] [--version NAME] [--pythons "3.11 3.12 3.13"] [--machines "x86_64"]
               [--components "agent gateway collector dashboards"] [--python PROGRAM]

Writes DIR/jauge-COMPONENT-VERSION-cpXY-MACHINE.tar, DIR/VERSION and DIR/SHA256SUMS. The version is that of the
packages unless named; it names the folder below /opt/jauge on the servers. PROGRAM (python3) has pip,
hatchling and packaging.
END
}

fail() {
	printf 'dist.sh: %s\n' "$*" >&2
	exit 2
}

out=dist
version=
pythons="3.11 3.12 3.13"
machines=x86_64
components="agent gateway collector dashboards"
python=python3
while (($#)); do
	case $1 in
	-h | --help)
		usage
		exit 0
		;;
	--out | --version | --pythons | --machines | --components | --python)
		(($# > 1)) || fail "$1 needs a value"
		printf -v "${1#--}" '%s' "$2"
		shift 2
		;;
	*) fail "unknown option $1; see dist.sh --help" ;;
	esac
done

[[ $version =~ ^([0-9A-Za-z][0-9A-Za-z._+-]*)?$ ]] || fail "'$version' is no version: letters, digits and . _ + -"
for component in $components; do
	case $component in
	agent | gateway | collector | dashboards) ;;
	*) fail "unknown component $component; see dist.sh --help" ;;
	esac
	[[ -f requirements/$component.txt ]] || fail "requirements/$component.txt is missing: make lock"
done

pip() {
	"$python" -m pip --disable-pip-version-check --no-input "$@"
}
pip --version >/dev/null 2>&1 || fail "$python has no pip: name one that has, with --python"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Wheels are zip archives: with a date of their own in them, two builds of one state would differ.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1735689600)}
export SOURCE_DATE_EPOCH
pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/own" \
	./models ./agent ./collector ./dashboards

own_version() {
	local wheel
	wheel=$(basename "$work"/own/jauge_"$1"-*.whl)
	wheel=${wheel#"jauge_$1-"}
	printf '%s' "${wheel%%-*}"
}
version=${version:-$(own_version models)}

packages_of() {
	case $1 in
	agent | gateway) echo models agent ;;
	collector) echo models collector ;;
	dashboards) echo models dashboards ;;
	esac
}

# platforms MACHINE: what a distribution of the last years can load, newest first.
platforms() {
	local tag
	for tag in manylinux_2_34 manylinux_2_28 manylinux_2_17 manylinux2014; do
		printf -- '--platform %s_%s ' "$tag" "$1"
	done
}

# archive COMPONENT PYTHON MACHINE
archive() {
	local component=$1 tag=cp${2/./} folder package name wheel
	folder=$work/$component-$tag-$3
	mkdir -p "$folder/wheels"
	"$python" deploy/locked.py "requirements/$component.txt" "$2" "$3" >"$folder/requirements.txt"
	# shellcheck disable=SC2046 # several options
	pip download --quiet --require-hashes --only-binary :all: --no-deps --implementation cp \
		--python-version "$2" --abi "$tag" --abi abi3 --abi none $(platforms "$3") \
		--dest "$folder/wheels" -r "$folder/requirements.txt"
	for package in $(packages_of "$component"); do
		wheel=$(echo "$work"/own/jauge_"$package"-*.whl)
		cp "$wheel" "$folder/wheels/"
		printf 'jauge-%s==%s --hash=sha256:%s\n' "$package" "$(own_version "$package")" \
			"$(sha256sum "$wheel" | cut -d ' ' -f 1)" >>"$folder/requirements.txt"
	done
	name=jauge-$component-$version-$tag-$3.tar
	tar --create --file "$work/out/$name" --directory "$folder" --sort name --owner 0 --group 0 \
		--numeric-owner --mode u=rwX,go=rX --mtime "@$SOURCE_DATE_EPOCH" requirements.txt wheels
	printf '%s\n' "$out/$name"
}

mkdir "$work/out"
for component in $components; do
	for each in $pythons; do
		for machine in $machines; do
			archive "$component" "$each" "$machine"
		done
	done
done
printf '%s\n' "$version" >"$work/out/VERSION"
(cd "$work/out" && sha256sum VERSION -- *.tar >SHA256SUMS)
mkdir -p "$out"
rm -f "$out"/jauge-*.tar
cp "$work/out"/* "$out/"
