//! Which web pages may call.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::calls::security::origins;

use crate::errors::Outcome;

/// Which web pages may use a server: `allowed` are origins besides its own, `public` is its
/// public host and port, `is_local` whether it is reached over loopback only.
#[pyclass(frozen, module = "stapes._core.calls")]
#[derive(Debug)]
pub struct Origins(pub origins::Origins);

#[pymethods]
impl Origins {
    #[new]
    fn new(allowed: Vec<String>, public: Option<&str>, is_local: bool) -> Outcome<Self> {
        let checked = origins::Origins::new(allowed, public, is_local);
        let checked = checked.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self(checked))
    }

    /// Why a request with these headers is refused; `None`: it is not.
    fn refusal(&self, host: Option<&str>, origin: Option<&str>) -> Option<String> {
        let refused = self.0.check_names(host, origin);
        refused.err().map(|error| error.to_string())
    }
}
