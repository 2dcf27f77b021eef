#!/bin/sh
# Builds a CPython that the machine does not have into a folder, to try wheels on it; nothing is installed
# elsewhere.
#
#     scripts/wheels/cpython.sh FOLDER SOURCE.tar.xz [OPTION OF CONFIGURE ...]
#     scripts/wheels/cpython.sh out/3.14t python3.14_3.14.7.orig.tar.xz --disable-gil
#
# SOURCE is CPython's: on Debian, that of `apt-get source --download-only python3.14`.
set -eu
mkdir -p "$1/source" "$1/build"
folder=$(cd "$1" && pwd)
tar -xf "$2" --directory "$folder/source" --strip-components=1
shift 2
cd "$folder/build"
../source/configure --quiet --disable-test-modules --prefix="$folder/python" "$@" > configure.log 2>&1
make --silent --jobs="$(nproc)" > make.log 2>&1 || { tail -20 make.log; exit 1; }
make --silent install >> make.log 2>&1
"$folder"/python/bin/python3 -c \
  'import sys; print(sys.version, "" if getattr(sys, "_is_gil_enabled", lambda: True)() else "without the GIL")'
