//! What can go wrong at the border to the kernel.

use std::io;
use std::path::PathBuf;

/// Why a map could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The map has as many entries as it may have, or the kernel has no memory for another.
    #[error("the map {map} is full")]
    Full { map: &'static str },
    #[error("cannot {operation} the map {map}")]
    Call {
        map: &'static str,
        operation: &'static str,
        #[source]
        source: io::Error,
    },
}

impl MapError {
    /// A value that the map has no room for in its entries.
    pub(crate) fn unfit(map: &'static str) -> Self {
        Self::Call { map, operation: "write", source: io::ErrorKind::InvalidInput.into() }
    }
}

/// Why the fast path could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{} is not on a BPF file system (mount -t bpf)", dir.display())]
    NotBpffs { dir: PathBuf },
    #[error("cannot use the folder of pins {}", dir.display())]
    PinDir {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot remove the stale pin {}", pin.display())]
    StalePin {
        pin: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the kernel refuses the object of the fast path")]
    Object(#[source] Box<aya::EbpfError>),
    #[error("the kernel refuses the program of the fast path")]
    Program(#[source] Box<aya::programs::ProgramError>),
    /// The object that was built in, or is in the folder `GROUNDPLANE_BPF_OBJ`, is of another version.
    #[error("the object of the fast path has no {part}")]
    Incomplete { part: &'static str },
    #[error("cannot set up a map")]
    Map(#[from] MapError),
}
