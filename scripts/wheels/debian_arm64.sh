#!/bin/sh
# Puts what builds and tries an aarch64 wheel on a Debian machine of another kind into a folder, and installs
# nothing: Debian's rustc with the standard library for both, an arm64 CPython, and qemu to run it.
#
#     scripts/wheels/debian_arm64.sh FOLDER
#
# Where rustup can be asked, `rustup target add aarch64-unknown-linux-gnu` takes the compiler's place.
set -eu
mkdir -p "$1"
folder=$(cd "$1" && pwd)
sources=/etc/apt/sources.list.d/debian.sources
[ -e "$sources" ] || sources=/etc/apt/sources.list

# apt with a state of its own, so that the machine's is left as it is.
as_arm64="$folder/apt.conf"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial" "$folder/debs" "$folder/arm-debs"
: > "$folder/apt/status"
cat > "$as_arm64" <<EOF
Dir::State "$folder/apt";
Dir::State::lists "$folder/apt/lists";
Dir::State::status "$folder/apt/status";
Dir::Cache "$folder/apt";
Dir::Etc::sourcelist "$sources";
Dir::Etc::sourceparts "-";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
EOF
APT_CONFIG=$as_arm64 apt-get -qq update
apt-get -qq update

# The newest compiler, and the standard library of the same version for both machines.
depends() { apt-cache depends "$1" | sed -n "s/.*Depends: \($2\)$/\1/p" | head -1; }
std=$(depends libstd-rust-web-dev 'libstd-rust-web-[0-9.]*')
llvm=$(depends "$std" 'libllvm[0-9]*')
cd "$folder/debs"
apt-get -qq download rustc-web "$std" libstd-rust-web-dev "$llvm" qemu-user-static
APT_CONFIG=$as_arm64 apt-get -qq download libstd-rust-web-dev
for deb in ./*.deb; do dpkg -x "$deb" "$folder/tools"; done

cd "$folder/arm-debs"
# shellcheck disable=SC2086
APT_CONFIG=$as_arm64 apt-get -qq download \
  python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 libstdc++6 zlib1g \
  libssl3 libexpat1 libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libcrypt1 libncursesw6 libtinfo6 libreadline8
for deb in ./*.deb; do dpkg -x "$deb" "$folder/arm"; done

# It finds its libraries beside itself only when it is installed.
mkdir -p "$folder/bin"
cat > "$folder/bin/rustc" <<EOF
#!/bin/sh
LD_LIBRARY_PATH=$folder/tools/usr/lib/x86_64-linux-gnu exec $folder/tools/usr/bin/rustc "\$@"
EOF
cat > "$folder/bin/python3-arm64" <<EOF
#!/bin/sh
exec $folder/tools/usr/bin/qemu-aarch64-static -L $folder/arm $folder/arm/usr/bin/python3.11 "\$@"
EOF
chmod +x "$folder/bin/rustc" "$folder/bin/python3-arm64"
echo "$("$folder/bin/rustc" --version), $("$folder/bin/python3-arm64" --version) of $("$folder/bin/python3-arm64" -c 'import platform; print(platform.machine())')"
