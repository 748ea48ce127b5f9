//! Programs, run bare or under libleak.so, in a clean environment.

use crate::artefacts;
use crate::report::Report;
use crate::scratch::Scratch;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long a program may take before it counts as hung: far longer than any takes, under memcheck too.
const PATIENCE: Duration = Duration::from_secs(300);

/// A command and the environment it runs in: `PATH`, `HOME`, `LANG=C`, and what is added here.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    stdin: Vec<u8>,
    user: Option<(u32, u32)>,
}

/// What a run of a program left behind.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its stdout.
    pub stdout: Vec<u8>,
    /// All of its stderr.
    pub stderr: Vec<u8>,
}

/// A run under libleak.so, and the folder its traces lie in.
#[derive(Debug)]
pub struct Traced {
    /// What the program itself did.
    pub outcome: Outcome,
    folder: Scratch,
}

impl Program {
    /// A program without arguments.
    pub fn new(path: impl AsRef<Path>) -> Program {
        Program {
            path: path.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            stdin: Vec::new(),
            user: None,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Program {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Program {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Program {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working folder.
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Program {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Gives the program this on stdin.
    pub fn stdin(mut self, content: impl Into<Vec<u8>>) -> Program {
        self.stdin = content.into();
        self
    }

    /// Runs the program as another user and group (needs root).
    pub fn user(mut self, uid: u32, gid: u32) -> Program {
        self.user = Some((uid, gid));
        self
    }

    /// The program as an argument list of another one, which runs it: `wrapper.wrapping(&program)`.
    pub fn wrapping(mut self, inner: &Program) -> Program {
        self.args.push(inner.path.clone().into());
        self.args.extend(inner.args.iter().cloned());
        self.env.extend(inner.env.iter().cloned());
        self.dir = inner.dir.clone();
        self.stdin = inner.stdin.clone();
        self.user = inner.user;
        self
    }

    /// The program with libleak.so preloaded, writing its traces into `folder`, unless `LD_PRELOAD` or `LIBLEAK_OUTPUT` were set
    /// before.
    pub fn preloaded(&self, folder: &Path) -> Program {
        let mut program = self.clone();
        if !program.env.iter().any(|(name, _)| name == "LD_PRELOAD") {
            program = program.env("LD_PRELOAD", artefacts::library());
        }
        if !program.env.iter().any(|(name, _)| name == "LIBLEAK_OUTPUT") {
            program = program.env("LIBLEAK_OUTPUT", folder.join("%e.%p.bin"));
        }
        program
    }

    /// Runs it as it is.
    pub fn run(&self) -> Outcome {
        Outcome::of(self.spawn(), &self.stdin)
    }

    /// Runs it under libleak.so.
    pub fn traced(&self) -> Traced {
        let folder = Scratch::new();
        let outcome = self.preloaded(folder.path()).run();
        Traced { outcome, folder }
    }

    /// The command, in its environment and folder; what its standard streams are is up to the caller.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.args).env_clear().env("LANG", "C");
        for name in ["PATH", "HOME"] {
            command.env(name, std::env::var_os(name).unwrap_or_default());
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.process_group(0);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        // As from a terminal, although the tests may run under nohup or in the background of a shell.
        let defaults = || {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
                // SAFETY: a system call.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
            Ok(())
        };
        // SAFETY: nothing but system calls.
        unsafe { command.pre_exec(defaults) };
        command
    }

    /// Starts it, all of its standard streams piped.
    pub fn spawn(&self) -> Child {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.path.display()))
    }
}

impl Outcome {
    /// Feeds `stdin`, unless that is closed, to a process that [`Program::spawn`] started and waits for its end.
    ///
    /// # Panics
    ///
    /// If it hangs: after [`PATIENCE`], it and its children are killed.
    pub fn of(mut child: Child, stdin: &[u8]) -> Outcome {
        let pipe = child.stdin.take();
        let group = child.id() as i32;
        let (ended, watch) = mpsc::channel::<()>();
        let (output, hung) = thread::scope(|scope| {
            // A program may end without reading it all.
            scope.spawn(move || pipe.map(|mut pipe| pipe.write_all(stdin).is_ok()));
            let watchdog = scope.spawn(move || {
                let hung = watch.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
                if hung {
                    // SAFETY: kill takes no pointers. The group is the child's own (see `spawn`), which has not been waited for.
                    unsafe { libc::kill(-group, libc::SIGKILL) };
                }
                hung
            });
            let output = child.wait_with_output().expect("a child can be waited for");
            drop(ended);
            (output, watchdog.join().expect("the watchdog does not panic"))
        });
        let outcome = Outcome { status: output.status, stdout: output.stdout, stderr: output.stderr };
        assert!(!hung, "killed after {PATIENCE:?}; it printed:\n{}\n{}", outcome.text(), outcome.errors());
        outcome
    }

    /// stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// stderr as text.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The exit status; 128 + N after signal N, as shells have it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Fails the test, with what the program printed, unless it ended with 0.
    #[track_caller]
    pub fn succeeded(self) -> Outcome {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.text(), self.errors());
        self
    }
}

impl Traced {
    /// A run that wrote its traces into `folder`.
    pub fn new(outcome: Outcome, folder: Scratch) -> Traced {
        Traced { outcome, folder }
    }

    /// The trace files, by name.
    pub fn files(&self) -> Vec<PathBuf> {
        traces_in(self.folder.path())
    }

    /// The only trace's file.
    #[track_caller]
    pub fn file(&self) -> PathBuf {
        let files = self.files();
        assert_eq!(files.len(), 1, "one trace was expected, not {files:?}\n{}", self.outcome.errors());
        files[0].clone()
    }

    /// The only trace's report.
    #[track_caller]
    pub fn report(&self) -> Report {
        Report::of(&self.file())
    }

    /// All reports, in the order in which their processes started (a process id may have wrapped; start times do not).
    pub fn reports(&self) -> Vec<Report> {
        let mut reports = Report::of_all(&self.files());
        reports.sort_by(|a, b| a.trace.started.total_cmp(&b.trace.started));
        reports
    }

    /// Fails the test, with what the program printed, unless it ended with 0.
    #[track_caller]
    pub fn succeeded(self) -> Traced {
        let Traced { outcome, folder } = self;
        Traced { outcome: outcome.succeeded(), folder }
    }
}

/// All files of a folder, by name.
pub fn traces_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder's entry").path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}
