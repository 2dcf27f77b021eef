//! Output to Python: samples are written once, directly into the returned object.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes};
use stapes_core::audio::Sample;

/// The type of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// `bytes`: little-endian 16-bit PCM.
    Bytes,
    /// `numpy.ndarray` of int16.
    Int16,
    /// `numpy.ndarray` of float32 in -1.0..=1.0.
    Float32,
}

impl Output {
    pub fn parse(output: &str) -> PyResult<Self> {
        match output {
            "bytes" => Ok(Self::Bytes),
            "int16" => Ok(Self::Int16),
            "float32" => Ok(Self::Float32),
            other => Err(PyValueError::new_err(format!(
                "output is {other:?}: expected \"bytes\", \"int16\" or \"float32\""
            ))),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Int16 => "int16",
            Self::Float32 => "float32",
        }
    }
}

/// `bytes` of `samples` 16-bit samples, which `fill` writes in place.
pub fn pcm_bytes(
    py: Python<'_>,
    samples: usize,
    fill: impl FnOnce(&mut [i16]),
) -> PyResult<Bound<'_, PyAny>> {
    let bytes = PyBytes::new_with(py, samples * size_of::<i16>(), |bytes| {
        if cfg!(target_endian = "little")
            && let Ok(samples) = bytemuck::try_cast_slice_mut(bytes)
        {
            fill(samples);
        } else {
            let mut aside = vec![0; samples];
            fill(&mut aside);
            for (sample, pair) in aside.iter().zip(bytes.chunks_exact_mut(2)) {
                pair.copy_from_slice(&sample.to_le_bytes());
            }
        }
        Ok(())
    })?;
    Ok(bytes.into_any())
}

/// A sample type of numpy arrays.
pub trait Element: Sample + bytemuck::Pod {
    /// The `numpy.dtype`, cached: with a name, numpy would look it up for every array.
    fn dtype(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>>;
}

impl Element for i16 {
    fn dtype(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
        static DTYPE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        cached_dtype(py, &DTYPE, "int16")
    }
}

impl Element for f32 {
    fn dtype(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
        static DTYPE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        cached_dtype(py, &DTYPE, "float32")
    }
}

/// A writable one-dimensional numpy array of `samples` samples, which `fill` writes in place.
pub fn array<E: Element>(
    py: Python<'_>,
    samples: usize,
    fill: impl FnOnce(&mut [E]),
) -> PyResult<Bound<'_, PyAny>> {
    static FROMBUFFER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let memory = PyByteArray::new_with(py, samples * size_of::<E>(), |bytes| {
        if let Ok(samples) = bytemuck::try_cast_slice_mut(bytes) {
            fill(samples);
        } else {
            let mut aside = vec![E::default(); samples];
            fill(&mut aside);
            bytes.copy_from_slice(bytemuck::cast_slice(&aside));
        }
        Ok(())
    })?;
    let dtype = E::dtype(py)?;
    if samples == 0 {
        // `frombuffer` refuses an empty buffer.
        return py.import("numpy")?.call_method1("empty", (0, dtype));
    }
    FROMBUFFER
        .import(py, "numpy", "frombuffer")?
        .call1((memory, dtype))
}

fn cached_dtype<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    let make = || PyResult::Ok(py.import("numpy")?.call_method1("dtype", (name,))?.unbind());
    Ok(cell.get_or_try_init(py, make)?.bind(py))
}
