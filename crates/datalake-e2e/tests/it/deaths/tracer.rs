//! Holds a run at its n-th system call on the files of a lake, counted over all of its threads.
//!
//! strace counts the calls of each thread separately (`when=N`), and the thread of a pool that makes a call differs between runs. While a run
//! is held here, none of its threads makes another system call: to everything outside, the process is paused.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::{
    lake::Lake,
    process::{Ended, threads_are_in, wait_until},
};

/// A system call on a file of the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: &'static str,
    /// Relative to the lake's folder.
    pub(super) path: PathBuf,
}

/// Which system calls are boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// Those that change files: between two of them a killed process leaves the same lake.
    Writes,
    /// Also those that read files: a paused process knows the content that it has read.
    All,
}

/// A run that this thread controls. The thread has to outlive it.
pub(super) struct Traced {
    child: Child,
    folder: PathBuf,
    calls: Calls,
    leader: Pid,
    threads: BTreeMap<Pid, Thread>,
    seen: Vec<Call>,
    status: Option<ExitStatus>,
}

/// None after a signal.
#[derive(Clone, Copy)]
struct ExitStatus(Option<i32>);

#[derive(Clone, Copy, Default)]
struct Thread {
    /// Between the entry and the exit of a system call.
    is_in_call: bool,
    /// Stopped, and not continued yet.
    is_held: bool,
}

impl Traced {
    /// Starts a run, which is held before its first system call on the lake.
    pub(super) fn start(lake: &Lake, calls: Calls) -> Self {
        let mut command = Command::new("sh");
        // The shell waits until it is traced.
        command
            .args(["-c", "read _; exec \"$0\" \"$@\""])
            .arg(crate::server::executable())
            .arg("process");
        lake.configure(&mut command, None);
        command.args(["--output", "json"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let leader = Pid::from_raw(child.id().try_into().unwrap());
        let options =
            Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL;
        ptrace::seize(leader, options).expect("a process may trace its children; allow ptrace in this environment");
        ptrace::interrupt(leader).unwrap();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        Self {
            child,
            folder: lake.folder().expect("only folders are accessed by system calls").to_owned(),
            calls,
            leader,
            threads: BTreeMap::new(),
            seen: Vec::new(),
            status: None,
        }
    }

    /// Whether the run, while it is held, has the lock of the lake.
    pub(super) fn has_lock(&self) -> bool {
        let Ok(lock) = fs::metadata(self.folder.join(".datalake/lock")) else {
            return false;
        };
        // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:5710331 0 EOF`
        let locks = fs::read_to_string("/proc/locks").expect("the kernel lists the locks");
        let (owner, file) = (format!(" {} ", self.leader), format!(":{} ", lock.ino()));
        let mut owned = locks.lines().filter(|line| !line.contains("->"));
        owned.any(|line| line.contains(&owner) && line.contains(&file))
    }

    /// Continues to the entry of the system call with this index. False if the run ends before.
    pub(super) fn run_to(&mut self, index: usize) -> bool {
        self.release();
        while self.status.is_none() {
            if self.step() {
                if self.seen.len() > index {
                    // The other threads stop at their next call, or sleep.
                    wait_until("all threads stop", || threads_are_in(self.leader, &['t', 'S']));
                    return true;
                }
                self.release();
            }
        }
        false
    }

    /// Continues to the end.
    pub(super) fn run_to_end(mut self) -> (Ended, Vec<Call>) {
        self.run_to(usize::MAX);
        self.ended()
    }

    /// Kills the run, which does not make the system call that it is held at.
    pub(super) fn kill(mut self) -> (Ended, Vec<Call>) {
        kill(self.leader, Signal::SIGKILL).unwrap();
        while self.status.is_none() {
            self.step();
        }
        self.ended()
    }

    /// Waits for one event. True if it is a boundary, at which the thread is held.
    fn step(&mut self) -> bool {
        // Only children of this thread: other tests have their own.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let event = match waitpid(None, Some(flags)) {
            Ok(event) => event,
            Err(Errno::EINTR) => return false,
            Err(error) => panic!("cannot wait for the traced run: {error}"),
        };
        match event {
            WaitStatus::PtraceSyscall(thread) => {
                let known = self.threads.entry(thread).or_default();
                known.is_in_call = !known.is_in_call;
                let call = known.is_in_call.then(|| self.call_of(thread)).flatten();
                if let Some(call) = call {
                    self.seen.push(call);
                    self.threads.entry(thread).or_default().is_held = true;
                    return true;
                }
                resume(thread, None);
            }
            WaitStatus::PtraceEvent(thread, _, event) => {
                // The exec is reported within the call, which ends in the new program.
                if event != libc::PTRACE_EVENT_EXEC && event != libc::PTRACE_EVENT_CLONE {
                    self.threads.entry(thread).or_default();
                }
                resume(thread, None);
            }
            WaitStatus::Stopped(thread, signal) => resume(thread, Some(signal)),
            WaitStatus::Exited(thread, status) => self.on_exit(thread, Some(status)),
            WaitStatus::Signaled(thread, ..) => self.on_exit(thread, None),
            WaitStatus::Continued(_) | WaitStatus::StillAlive => {}
        }
        false
    }

    fn on_exit(&mut self, thread: Pid, status: Option<i32>) {
        self.threads.remove(&thread);
        if thread == self.leader {
            self.status = Some(ExitStatus(status));
        }
    }

    /// Continues all threads that are held.
    fn release(&mut self) {
        for (thread, state) in &mut self.threads {
            if std::mem::take(&mut state.is_held) {
                resume(*thread, None);
            }
        }
    }

    fn ended(mut self) -> (Ended, Vec<Call>) {
        let (mut report, mut log) = (Vec::new(), String::new());
        self.child.stdout.take().unwrap().read_to_end(&mut report).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let ended = Ended {
            status: self.status.and_then(|ExitStatus(status)| status),
            report: serde_json::from_slice(&report).unwrap_or_default(),
            log,
        };
        (ended, self.seen)
    }

    /// The call that a thread is about to make, if it is a boundary.
    fn call_of(&self, thread: Pid) -> Option<Call> {
        // The number, six arguments, the stack pointer and the instruction pointer, or `running`.
        let text = fs::read_to_string(format!("/proc/{thread}/syscall")).expect("the calls of a traced process can be read");
        let mut fields = text.split_ascii_whitespace();
        let number: libc::c_long = fields.next()?.parse().ok()?;
        let arguments: Vec<u64> = fields
            .map_while(|field| u64::from_str_radix(field.trim_start_matches("0x"), 16).ok())
            .collect();
        let (name, place) = known_call(number)?;
        let path = match place {
            FileArgument::Descriptor => fs::read_link(descriptor(thread, arguments[0])).ok()?,
            FileArgument::Path { folder, path } => {
                let path = PathBuf::from(text_at(thread, arguments[path])?);
                match folder.map(|folder| arguments[folder]) {
                    // A descriptor is an `int`, and AT_FDCWD is negative.
                    Some(folder) if folder & 0x8000_0000 == 0 && path.is_relative() => {
                        fs::read_link(descriptor(thread, folder)).ok()?.join(path)
                    }
                    Some(_) | None => path,
                }
            }
        };
        let is_write = !matches!(name, "openat" | "open" | "statx" | "stat" | "getdents64")
            || (name == "openat" && arguments[2] & u64::from(libc::O_CREAT.unsigned_abs()) != 0);
        let path = path.strip_prefix(&self.folder).ok()?.to_owned();
        (is_write || self.calls == Calls::All).then_some(Call { name, path })
    }
}

/// The argument of a system call that names its file.
#[derive(Clone, Copy)]
enum FileArgument {
    /// The descriptor in the first argument.
    Descriptor,
    /// A path in an argument, relative to the folder of a descriptor in another argument.
    Path { folder: Option<usize>, path: usize },
}

/// System calls on files. If a call has two paths, it is the new one.
fn known_call(number: libc::c_long) -> Option<(&'static str, FileArgument)> {
    let at = |folder, path| FileArgument::Path {
        folder: Some(folder),
        path,
    };
    let known = match number {
        libc::SYS_openat => ("openat", at(0, 1)),
        libc::SYS_statx => ("statx", at(0, 1)),
        libc::SYS_getdents64 => ("getdents64", FileArgument::Descriptor),
        libc::SYS_mkdirat => ("mkdirat", at(0, 1)),
        libc::SYS_unlinkat => ("unlinkat", at(0, 1)),
        libc::SYS_linkat => ("linkat", at(2, 3)),
        libc::SYS_renameat => ("renameat", at(2, 3)),
        libc::SYS_renameat2 => ("renameat2", at(2, 3)),
        libc::SYS_write => ("write", FileArgument::Descriptor),
        libc::SYS_pwrite64 => ("pwrite64", FileArgument::Descriptor),
        libc::SYS_writev => ("writev", FileArgument::Descriptor),
        libc::SYS_ftruncate => ("ftruncate", FileArgument::Descriptor),
        libc::SYS_fsync => ("fsync", FileArgument::Descriptor),
        libc::SYS_fdatasync => ("fdatasync", FileArgument::Descriptor),
        libc::SYS_flock => ("flock", FileArgument::Descriptor),
        number => return legacy_call(number),
    };
    Some(known)
}

/// Calls that exist only on older architectures.
#[cfg(target_arch = "x86_64")]
fn legacy_call(number: libc::c_long) -> Option<(&'static str, FileArgument)> {
    let path = |path| FileArgument::Path { folder: None, path };
    let known = match number {
        libc::SYS_open => ("open", path(0)),
        libc::SYS_stat => ("stat", path(0)),
        libc::SYS_mkdir => ("mkdir", path(0)),
        libc::SYS_rmdir => ("rmdir", path(0)),
        libc::SYS_unlink => ("unlink", path(0)),
        libc::SYS_link => ("link", path(1)),
        libc::SYS_rename => ("rename", path(1)),
        _ => return None,
    };
    Some(known)
}

#[cfg(not(target_arch = "x86_64"))]
fn legacy_call(_: libc::c_long) -> Option<(&'static str, FileArgument)> {
    None
}

fn descriptor(thread: Pid, number: u64) -> PathBuf {
    Path::new("/proc")
        .join(thread.to_string())
        .join("fd")
        .join((number & 0xffff_ffff).to_string())
}

/// The text at an address of a thread, up to its NUL.
fn text_at(thread: Pid, address: u64) -> Option<String> {
    let mut memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    memory.seek(SeekFrom::Start(address)).ok()?;
    let mut text = Vec::new();
    let mut bytes = [0; 64];
    loop {
        let length = memory.read(&mut bytes).ok()?;
        match bytes[..length].iter().position(|byte| *byte == 0) {
            Some(end) => {
                text.extend_from_slice(&bytes[..end]);
                return String::from_utf8(text).ok();
            }
            None if length == 0 => return None,
            None => text.extend_from_slice(&bytes[..length]),
        }
    }
}

/// Continues a thread to its next system call, if it was not killed.
fn resume(thread: Pid, signal: Option<Signal>) {
    match ptrace::syscall(thread, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("cannot continue the traced run: {error}"),
    }
}
