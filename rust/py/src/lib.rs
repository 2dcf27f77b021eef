//! `stapes._core`: only conversion, the runtime, and the hub that feeds asyncio.

mod audio;

use pyo3::pymodule;

#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::audio::register(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
