//! What the core logs, for Python's `logging`: logger `stapes` and children.

use pyo3::prelude::*;
use stapes_core::delivery::logging;

/// Sets the least level that is recorded, a number of Python's `logging`; 0: none is.
#[pyfunction]
pub fn set_log_level(level: u8) {
    logging::set_level(level);
}

/// Hands the records that wait to their loggers. The error is the first that a logger raised; all other
/// records have been handed out then.
pub fn hand_out(py: Python<'_>) -> PyResult<()> {
    let Some(waiting) = logging::take() else {
        return Ok(());
    };
    let get_logger = py.import("logging")?.getattr("getLogger")?;
    if waiting.dropped > 0 {
        let text = "%d log records were dropped: the event loop did not come to hand them out";
        let logger = get_logger.call1(("stapes",))?;
        logger.call_method1("warning", (text, waiting.dropped))?;
    }
    let mut failure = None;
    for record in waiting.records {
        let name = format!("stapes{}", record.module.replace("::", "."));
        let logged = get_logger
            .call1((name,))
            .and_then(|logger| logger.call_method1("log", (record.level, "%s", record.text)));
        if let Err(error) = logged {
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), Err)
}
