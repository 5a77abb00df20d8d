//! Commands run inside from outside.

use crate::common::{INIT, Instance, root_or_skip};
use gp_sandbox::{ExecRequest, INIT_SUBCOMMAND, exec};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_exit_status_is_the_commands() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    let running = instance.start();
    let status = |argv: &[&str]| instance.run(argv).status.code();
    assert_eq!(status(&["true"]), Some(0));
    assert_eq!(status(&["sh", "-c", "exit 42"]), Some(42));
    assert_eq!(status(&["sh", "-c", "kill -TERM $$"]), Some(143));
    assert_eq!(status(&["no-such-command"]), Some(127));
    assert_eq!(status(&["/etc/passwd"]), Some(126));
    let request = ExecRequest {
        argv: vec!["sh".into(), "-c".into(), "exit $CODE".into()],
        env: vec![("CODE".into(), "9".into())],
        tty: false,
    };
    assert_eq!(exec(&running, &request).unwrap().code(), Some(9));
    instance.stop();
    assert!(exec(&running, &request).is_err());
}

#[test]
fn standard_input_is_passed_on_and_limits_hold() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.start();
    let (mut child, _file) =
        helper(&instance, &["sh", "-c", "cat; cat /proc/self/cgroup"], false, Stdio::piped(), Stdio::piped());
    child.stdin.take().unwrap().write_all(b"through the pipe\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("through the pipe\n"), "{text}");
    // In its own cgroup namespace the instance's group is the root.
    assert!(text.lines().any(|line| line.ends_with(":memory:/") || line == "0::/"), "{text}");
}

#[test]
fn a_signal_to_the_helper_reaches_the_command_and_its_callers_end_ends_it() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.start();
    let (child, _file) = helper(
        &instance,
        &["sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done"],
        false,
        Stdio::null(),
        Stdio::piped(),
    );
    let mut child = wait_for_up(child);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5));

    // A caller that is killed: the shell between us and the helper.
    let (file, words) = request(&instance, &["sh", "-c", "exec sleep 4321"], false);
    let mut caller = Command::new("/bin/sh").args(["-c", "\"$@\"; true", "sh"]).args(words).spawn().unwrap();
    wait_until(|| !instance.shell("pgrep -fx 'sleep 4321' || true").is_empty());
    caller.kill().unwrap();
    caller.wait().unwrap();
    wait_until(|| instance.shell("pgrep -fx 'sleep 4321' || true").is_empty());
    drop(file);
}

#[test]
fn a_terminal_is_the_guests_own_with_size_and_signals() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.start();
    let size = nix::pty::Winsize { ws_row: 33, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 };
    let ours = openpty(&size, None).unwrap();
    let (file, words) = request(&instance, &["sh"], true);
    // As `exec` sets the terminal of its caller.
    let mut raw = tcgetattr(&ours.slave).unwrap();
    cfmakeraw(&mut raw);
    tcsetattr(&ours.slave, SetArg::TCSANOW, &raw).unwrap();
    let slave = File::from(ours.slave);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
    // SAFETY: setsid and an ioctl on descriptor 0, both safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            libc::ioctl(0, libc::TIOCSCTTY, 0);
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut screen = Screen { master: File::from(ours.master), text: String::new() };
    screen.type_in("stty size; tty; echo sum=$((40+2))\n");
    screen.wait_for("33 101");
    screen.wait_for("/dev/pts/0");
    screen.wait_for("sum=42");
    screen.type_in("trap 'echo inter''rupted' INT; echo slee''ping; sleep 100; echo after\n");
    // An interrupt before the line is read would throw the line away.
    screen.wait_for("sleeping");
    std::thread::sleep(Duration::from_millis(200));
    screen.type_in("\x03");
    screen.wait_for("interrupted");
    screen.type_in("exit 6\n");
    assert_eq!(child.wait().unwrap().code(), Some(6));
    drop(file);
}

/// 32 and 33: nobody may change what becomes of them.
const C_LIBRARY_SIGNALS: u64 = 0b11 << 31;

#[test]
fn no_signal_is_ignored_because_groundplane_ignores_it() {
    if !root_or_skip() {
        return;
    }
    // As under nohup, and by a script's `&`. Nothing else here sends or expects this one.
    // SAFETY: no handler is set.
    unsafe { signal(Signal::SIGUSR2, SigHandler::SigIgn) }.unwrap();
    let line = "echo ignored=$(grep SigIgn /proc/self/status | cut -f 2).";
    let mut instance = Instance::with_user_data(line);
    instance.start();
    instance.wait_console("ignored=");
    for text in [instance.console(), instance.shell(line)] {
        let (_, mask) = text.split_once("ignored=").unwrap();
        let mask = u64::from_str_radix(mask.split('.').next().unwrap(), 16).unwrap();
        assert_eq!(mask & !C_LIBRARY_SIGNALS, 0, "{text}");
    }
}

#[test]
fn a_guest_that_fakes_its_terminal_is_caught() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.start();
    for trick in ["ln -sf /etc/passwd /dev/ptmx", "rm /dev/ptmx; mkfifo /dev/ptmx", "ln -sf /dev/null /dev/ptmx"] {
        instance.shell(trick);
        let (file, words) = request(&instance, &["true"], true);
        let output = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{trick}: {output:?}");
        drop(file);
    }
}

/// A request file and the command line that runs it.
fn request(instance: &Instance, argv: &[&str], tty: bool) -> (tempfile::NamedTempFile, Vec<String>) {
    let running = serde_json::to_value(instance.running.as_ref().unwrap()).unwrap();
    let request = serde_json::json!({ "running": running, "request": { "argv": argv, "env": [], "tty": tty } });
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), request.to_string()).unwrap();
    let words = [INIT, INIT_SUBCOMMAND, "exec", file.path().to_str().unwrap()].map(str::to_owned);
    (file, words.to_vec())
}

fn helper(
    instance: &Instance,
    argv: &[&str],
    tty: bool,
    stdin: Stdio,
    stdout: Stdio,
) -> (Child, tempfile::NamedTempFile) {
    let (file, words) = request(instance, argv, tty);
    (Command::new(&words[0]).args(&words[1..]).stdin(stdin).stdout(stdout).spawn().unwrap(), file)
}

fn wait_for_up(mut child: Child) -> Child {
    let mut byte = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"up\n");
    child
}

fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to pass");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Our side of a terminal.
struct Screen {
    master: File,
    text: String,
}

impl Screen {
    fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.text.contains(text) {
            let mut wanted = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut wanted, PollTimeout::from(20_000_u16)).unwrap();
            assert!(ready > 0, "no {text:?} in {:?}", self.text);
            let length = self.master.read(&mut buffer).unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }
}
