//! A program on an interface, such as an ENI's host side: qdisc `clsact` and one filter of a fixed place.
//!
//! Netlink and not tcx, which is younger (6.6) than the oldest kernels served. A filter lives as long as its
//! interface, so it needs no pin and no process.

use crate::loader::Fastpath;
use aya::programs::links::Link;
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use std::io;

/// Always the same place, so that a later process finds and replaces what an earlier one left.
const PRIORITY: u16 = 1;
const HANDLE: TcHandle = TcHandle::new(0, 1);

/// Why an ENI's host side could not be attached or detached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("cannot add a qdisc to {interface}")]
    Qdisc {
        interface: String,
        #[source]
        source: Box<TcError>,
    },
    #[error("cannot attach to {interface}")]
    Filter {
        interface: String,
        #[source]
        source: Box<ProgramError>,
    },
    #[error("cannot detach from {interface}")]
    Detach {
        interface: String,
        #[source]
        source: Box<ProgramError>,
    },
    #[error("there is no interface {interface}")]
    NoInterface {
        interface: String,
        #[source]
        source: io::Error,
    },
}

impl Fastpath {
    /// From now on every frame that the guest behind `interface` sends meets the program. Where a program of
    /// Groundplane is already there, this one takes its place between two packets.
    ///
    /// To be called in the network namespace of the interface, and before the guest can bring its own end up: a host
    /// side without the program would hand the guest's frames to the host's own stack.
    ///
    /// # Errors
    /// No such interface, or the kernel refuses.
    pub fn attach_eni(&mut self, interface: &str) -> Result<(), AttachError> {
        attach(self.program(), interface)
    }

    /// Takes the program off; nothing to do where it isn't on. Without it the host's stack gets what the guest sends,
    /// so bring the interface down first, or just remove it.
    ///
    /// # Errors
    /// No such interface, or the kernel refuses.
    pub fn detach_eni(&mut self, interface: &str) -> Result<(), AttachError> {
        detach(interface)
    }
}

/// On ingress of an interface of this network namespace, in place of what is there.
pub(crate) fn attach(program: &mut SchedClassifier, interface: &str) -> Result<(), AttachError> {
    ensure_clsact(interface)?;
    let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
    let added = program.attach_with_options(interface, TcAttachType::Ingress, TcAttachOptions::Netlink(options));
    let attached = match added {
        Err(error) if os_error(&error) == Some(libc::EEXIST) => program.attach_to_link(filter_of(interface)?),
        other => other,
    };
    attached
        .and_then(|id| program.take_link(id))
        .map(std::mem::forget)
        .map_err(|source| AttachError::Filter { interface: interface.to_owned(), source: Box::new(source) })
}

/// Takes off what is on ingress of an interface of this network namespace.
pub(crate) fn detach(interface: &str) -> Result<(), AttachError> {
    match filter_of(interface)?.detach() {
        Err(error) if !matches!(os_error(&error), Some(libc::ENOENT | libc::EINVAL)) => {
            Err(AttachError::Detach { interface: interface.to_owned(), source: Box::new(error) })
        }
        _ => Ok(()),
    }
}

fn ensure_clsact(interface: &str) -> Result<(), AttachError> {
    match qdisc_add_clsact(interface) {
        Ok(()) | Err(TcError::AlreadyAttached) => Ok(()),
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        Err(source) => Err(AttachError::Qdisc { interface: interface.to_owned(), source: Box::new(source) }),
    }
}

fn filter_of(interface: &str) -> Result<SchedClassifierLink, AttachError> {
    SchedClassifierLink::attached(interface, TcAttachType::Ingress, PRIORITY, HANDLE, None)
        .map_err(|source| AttachError::NoInterface { interface: interface.to_owned(), source })
}

fn os_error(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::TcError(TcError::NetlinkError(error)) | ProgramError::NetlinkError(error) => error.raw_os_error(),
        _ => None,
    }
}
