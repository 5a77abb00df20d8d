//! Commands inside a machine: for each, four ports of its virtio-serial device, which live as long as the command.
//!
//! The guest's own programs see the ports come, read the command from the one named `ctl`, run it on the other three and answer with its
//! exit status (guest/session.sh). There is no terminal: a shell works, but line by line.

use crate::error::{Context, VmError};
use crate::qemu::SERIAL_PORTS;
use crate::qmp::Qmp;
use crate::running::Running;
use base64::Engine as _;
use serde_json::json;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The ports of one command. The guest begins when it sees the last.
const STREAMS: [&str; 4] = ["in", "out", "err", "ctl"];
/// A guest that boots in software on a busy host takes this long.
const START_PATIENCE: Duration = Duration::from_secs(90);

/// QEMU says busy until its other threads have seen that the port is gone, which takes milliseconds.
const REMOVE_TRIES: u32 = 200;
const REMOVE_INTERVAL: Duration = Duration::from_millis(10);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// What is to be run.
pub struct ExecRequest {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its standard input, read until it ends.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// Where its output goes.
    pub stdout: Box<dyn Write + Send>,
    /// Where its errors go.
    pub stderr: Box<dyn Write + Send>,
}

/// Runs a command in the guest and passes everything through. Returns its exit status, as a shell gives it.
///
/// # Errors
/// The machine doesn't answer (it may be booting still), or too many commands run in it already.
pub fn exec(running: &Running, request: ExecRequest) -> Result<u8, VmError> {
    let session = session()?;
    let [input, output, errors, control] = open(running, &session)?;
    let result = converse(&request.argv, &control, || {
        pass_input(input, request.stdin);
        let output = pass_output(output, request.stdout)?;
        let errors = pass_output(errors, request.stderr)?;
        Ok(vec![output, errors])
    });
    // The ports go now, by which the outputs end: what the guest has written before it answered is in them already.
    close(running, &session);
    let (status, outputs) = result?;
    outputs.into_iter().for_each(|thread| drop(thread.join()));
    Ok(status)
}

/// Never used again in the life of the machine: process numbers come again, but not with the same start. The number comes first, for
/// [`sweep`].
fn session() -> Result<String, VmError> {
    let us = i32::try_from(std::process::id()).ok().and_then(gp_linux::ProcessId::of).ok_or(VmError::NotRunning)?;
    Ok(format!("{}-{:x}-{}", us.pid, us.start_time, NEXT.fetch_add(1, Ordering::Relaxed)))
}

type Streams = Vec<JoinHandle<()>>;

fn converse(
    argv: &[String],
    control: &UnixStream,
    begin: impl FnOnce() -> Result<Streams, VmError>,
) -> Result<(u8, Streams), VmError> {
    let what = || "talk to the guest".to_owned();
    control.set_read_timeout(Some(START_PATIENCE)).context(what)?;
    let mut answers = BufReader::new(control);
    let mut line = String::new();
    let started = answers.read_line(&mut line);
    if !started.is_ok_and(|_| line.trim() == "started") {
        return Err(VmError::Qemu("the guest does not answer: it is still booting, or its system is broken".into()));
    }
    let outputs = begin()?;
    let command = base64::engine::general_purpose::STANDARD.encode(shell_words(argv));
    { control }.write_all(format!("{command}\n").as_bytes()).context(what)?;
    control.set_read_timeout(None).context(what)?;
    line.clear();
    answers.read_line(&mut line).context(what)?;
    let status = line.trim().parse().map_err(|_| VmError::NotRunning)?;
    Ok((status, outputs))
}

/// Adds the ports. QEMU gets one end of a socket pair for each.
fn open(running: &Running, session: &str) -> Result<[UnixStream; 4], VmError> {
    let mut qmp = Qmp::connect(&running.state_dir)?;
    sweep(&mut qmp)?;
    let ports = qmp.devices()?.iter().filter(|device| device.starts_with("exec.")).count() + STREAMS.len();
    if ports > SERIAL_PORTS as usize {
        return Err(VmError::Qemu("too many commands run in this machine already".into()));
    }
    let mut streams = Vec::with_capacity(STREAMS.len());
    for stream in STREAMS {
        let (ours, theirs) = UnixStream::pair().context(|| "make a socket pair".into())?;
        let id = format!("exec.{session}.{stream}");
        qmp.give_fd(&id, theirs.as_fd())?;
        let address = json!({ "type": "fd", "data": { "str": id } });
        let backend = json!({ "type": "socket", "data": { "addr": address, "server": false } });
        qmp.execute("chardev-add", json!({ "id": id, "backend": backend }))?;
        let port = json!({ "driver": "virtserialport", "id": id, "name": id, "chardev": id, "bus": "serial.0" });
        qmp.execute("device_add", port)?;
        streams.push(ours);
    }
    streams.try_into().map_err(|_| VmError::NotRunning)
}

fn close(running: &Running, session: &str) {
    let Ok(mut qmp) = Qmp::connect(&running.state_dir) else { return };
    remove(&mut qmp, &format!("exec.{session}."));
}

/// Removes the ports whose names begin so, and then the sockets behind them, which QEMU holds on to a little longer.
fn remove(qmp: &mut Qmp, session: &str) {
    let ids = STREAMS.map(|stream| format!("{session}{stream}"));
    for id in &ids {
        let _ = qmp.execute("device_del", json!({ "id": id }));
    }
    for id in &ids {
        let mut tries = 0..REMOVE_TRIES;
        let mut is_busy = || match qmp.execute("chardev-remove", json!({ "id": id })) {
            Err(VmError::Qemu(text)) => text.contains("busy"),
            _ => false,
        };
        while is_busy() && tries.next().is_some() {
            thread::sleep(REMOVE_INTERVAL);
        }
    }
}

/// Removes ports of commands whose caller has died.
fn sweep(qmp: &mut Qmp) -> Result<(), VmError> {
    let devices: Vec<_> = qmp.devices()?.into_iter().filter(|device| device.starts_with("exec.")).collect();
    for control in devices.iter().filter(|device| device.ends_with(".ctl")) {
        let caller = control.strip_prefix("exec.").and_then(|rest| rest.split('-').next()?.parse::<i32>().ok());
        if caller.is_some_and(|pid| gp_linux::ProcessId::of(pid).is_none()) {
            remove(qmp, control.trim_end_matches("ctl"));
        }
    }
    Ok(())
}

/// Shuts one direction only when the input ends: a socket that is closed is dropped by QEMU with what it has not read yet.
fn pass_input(port: UnixStream, input: Option<Box<dyn Read + Send>>) {
    let pass = move || {
        if let Some(mut input) = input {
            // A command that doesn't read to the end is no fault.
            let _ = io::copy(&mut input, &mut { &port });
        }
        let _ = port.shutdown(Shutdown::Write);
        // Held until QEMU lets go: the port is removed with the session.
        let _ = { &port }.read(&mut [0]);
    };
    // Not waited for: it may sit at a terminal for ever.
    let _ = thread::Builder::new().name("exec-in".into()).spawn(pass);
}

fn pass_output(mut port: UnixStream, mut output: Box<dyn Write + Send>) -> Result<JoinHandle<()>, VmError> {
    let pass = move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(length @ 1..) = port.read(&mut buffer) {
            if output.write_all(&buffer[..length]).and_then(|()| output.flush()).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("exec-out".into()).spawn(pass).context(|| "start a thread".into())
}

/// The words, quoted for a POSIX shell, which the guest gives them to.
fn shell_words(argv: &[String]) -> String {
    let quoted: Vec<_> = argv.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    format!("exec {}", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        let argv = ["printf", "%s|", "a b", "$HOME", "it's", ""].map(str::to_owned);
        let output = std::process::Command::new("/bin/sh").args(["-c", &shell_words(&argv)]).output().unwrap();
        assert_eq!(output.stdout, b"a b|$HOME|it's||");
    }
}
