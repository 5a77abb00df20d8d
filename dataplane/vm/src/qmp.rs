//! The QEMU Machine Protocol: one line of JSON per command, answer and event (QEMU's docs/interop/qmp-spec.rst).
//!
//! QEMU talks to one client at a time, so whoever talks holds a lock on a file beside the socket, and nobody talks for long.

use crate::error::{Context, VmError};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Name of the socket in the state directory.
const SOCKET: &str = "qmp.sock";
/// Name of the lock.
const LOCK: &str = "qmp.lock";
/// A loaded machine with software emulation takes its time; one that is silent for longer is stuck.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// A conversation with one QEMU. Others wait until it is dropped.
#[derive(Debug)]
pub(crate) struct Qmp {
    reader: BufReader<UnixStream>,
    /// Events that came while an answer was waited for.
    events: Vec<Value>,
    _lock: File,
}

/// The socket that QEMU is to listen on. Whatever was there of an earlier machine is replaced.
pub(crate) fn listen(state_dir: &Path) -> Result<UnixListener, VmError> {
    let what = || format!("listen on {}", state_dir.join(SOCKET).display());
    let dir = File::open(state_dir).context(what)?;
    match std::fs::remove_file(state_dir.join(SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).context(what),
        _ => {}
    }
    UnixListener::bind(socket_in(&dir)).context(what)
}

/// Socket paths have 107 bytes at most; this one is short wherever the directory is.
fn socket_in(dir: &File) -> String {
    format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd())
}

impl Qmp {
    /// Waits for its turn, connects, and makes QEMU ready for commands.
    pub(crate) fn connect(state_dir: &Path) -> Result<Self, VmError> {
        let what = || format!("talk to QEMU by {}", state_dir.join(SOCKET).display());
        let dir = File::open(state_dir).context(what)?;
        let lock = File::create(state_dir.join(LOCK)).context(what)?;
        flock(&lock, FlockOperation::LockExclusive).context(what)?;
        let stream = UnixStream::connect(socket_in(&dir)).context(what)?;
        stream.set_read_timeout(Some(ANSWER_PATIENCE)).context(what)?;
        stream.set_write_timeout(Some(ANSWER_PATIENCE)).context(what)?;
        let mut qmp = Self { reader: BufReader::new(stream), events: Vec::new(), _lock: lock };
        let greeting = qmp.read()?;
        if greeting.get("QMP").is_none() {
            return Err(VmError::Qemu(format!("an unexpected greeting: {greeting}")));
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// One command and its answer.
    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, VmError> {
        self.send(command, arguments, &[])
    }

    /// Gives QEMU a descriptor, for later commands to name.
    pub(crate) fn give_fd(&mut self, name: &str, fd: BorrowedFd<'_>) -> Result<(), VmError> {
        self.send("getfd", json!({ "fdname": name }), &[fd.as_raw_fd()]).map(drop)
    }

    fn send(&mut self, command: &str, arguments: Value, fds: &[i32]) -> Result<Value, VmError> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        let rights = [ControlMessage::ScmRights(fds)];
        let control = if fds.is_empty() { &rights[..0] } else { &rights[..] };
        let socket = self.reader.get_ref().as_raw_fd();
        // A line is far shorter than the socket's buffer, which is empty: it goes in whole.
        let sent = sendmsg::<()>(socket, &[IoSlice::new(line.as_bytes())], control, MsgFlags::MSG_NOSIGNAL, None)
            .context(|| format!("send {command} to QEMU"))?;
        if sent != line.len() {
            return Err(VmError::Qemu(format!("took only a part of {command}")));
        }
        loop {
            let answer = self.read()?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                let text = error["desc"].as_str().unwrap_or("no reason given");
                return Err(VmError::Qemu(format!("{command}: {text}")));
            }
            self.events.push(answer);
        }
    }

    fn read(&mut self) -> Result<Value, VmError> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Err(VmError::Qemu("has ended".into())),
            Ok(_) => serde_json::from_str(&line).map_err(|_| VmError::Qemu(format!("says {line:?}"))),
            Err(error) => Err(error).context(|| "wait for QEMU's answer".into()),
        }
    }

    /// Waits for an event about a device. False when it doesn't come in time.
    pub(crate) fn wait_device_event(&mut self, event: &str, device: &str, patience: Duration) -> Result<bool, VmError> {
        let is_it = |value: &Value| value["event"] == event && value["data"]["device"] == device;
        let deadline = Instant::now() + patience;
        loop {
            if self.events.drain(..).any(|value| is_it(&value)) {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.reader.get_ref().set_read_timeout(Some(left)).context(|| "set a time limit".into())?;
            let read = self.read();
            self.reader.get_ref().set_read_timeout(Some(ANSWER_PATIENCE)).context(|| "set a time limit".into())?;
            match read {
                Ok(value) => self.events.push(value),
                Err(VmError::Os { source, .. }) if is_timeout(&source) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// The names of all devices that were given one.
    pub(crate) fn devices(&mut self) -> Result<Vec<String>, VmError> {
        let list = self.execute("qom-list", json!({ "path": "/machine/peripheral" }))?;
        let entries = list.as_array().into_iter().flatten();
        Ok(entries.filter_map(|entry| Some(entry["name"].as_str()?.to_owned())).collect())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Answers like QEMU, from a script of lines: one per command.
    fn fake(state_dir: &Path, answers: &'static [&'static str]) -> std::thread::JoinHandle<Vec<String>> {
        let listener = listen(state_dir).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            stream.write_all(b"{\"QMP\": {}}\n").unwrap();
            let mut heard = Vec::new();
            for answer in answers {
                heard.push(lines.next().unwrap().unwrap());
                stream.write_all(answer.as_bytes()).unwrap();
            }
            heard
        })
    }

    #[test]
    fn events_between_answers_are_kept_for_who_waits() {
        let dir = tempfile::tempdir().unwrap();
        let qemu = fake(
            dir.path(),
            &[
                "{\"return\": {}}\n",
                "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"nic1\"}}\n{\"return\": {}}\n",
                "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'x' not found\"}}\n",
            ],
        );
        let mut qmp = Qmp::connect(dir.path()).unwrap();
        qmp.execute("device_del", json!({ "id": "nic1" })).unwrap();
        let error = qmp.execute("device_del", json!({ "id": "x" })).unwrap_err();
        assert_eq!(error.to_string(), "QEMU: device_del: Device 'x' not found");
        assert!(qmp.wait_device_event("DEVICE_DELETED", "nic1", Duration::ZERO).unwrap());
        let heard = qemu.join().unwrap();
        assert!(heard[1].contains("\"execute\":\"device_del\"") && heard[1].contains("\"id\":\"nic1\""), "{heard:?}");
    }

    #[test]
    fn a_qemu_that_ends_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let qemu = fake(dir.path(), &["{\"return\": {}}\n"]);
        let mut qmp = Qmp::connect(dir.path()).unwrap();
        qemu.join().unwrap();
        assert!(qmp.execute("query-status", json!({})).is_err());
        drop(qmp);
        assert!(Qmp::connect(dir.path()).is_err());
    }
}
