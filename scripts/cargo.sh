#!/bin/sh
# Runs cargo with the variables that maturin sets for pyo3's build script. With others cargo would
# build pyo3 and the bindings anew, and maturin would do so once more.
set -eu
host=$(rustc -vV | sed -n 's/^host: //p')
export PYO3_BUILD_EXTENSION_MODULE=1
for config in "$PWD/target/maturin/pyo3-config-$host"-*-abi3.txt; do
    # Without one, pyo3 finds the interpreter by itself.
    if [ -f "$config" ]; then
        export PYO3_CONFIG_FILE="$config"
    fi
done
exec cargo "$@"
