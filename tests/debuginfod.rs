//! `--debuginfod`: debug info from a server, asked for only with the option.

use libleak_tests::{Fixture, Outcome, Program, Scratch, Traced, artefacts, missing};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server on the loopback interface that has the debug file of a stripped program.
struct Server {
    child: Child,
    url: String,
    folder: Scratch,
    program: PathBuf,
}

impl Server {
    fn start() -> Server {
        let folder = Scratch::new();
        let program = folder.join("kinds");
        let served = folder.join("served");
        fs::create_dir(&served).expect("a folder");
        let fixture = Fixture::c_with("kinds.c", &["-Wl,--build-id"]);
        let run =
            |command: &mut Command| assert!(command.status().expect("binutils").success(), "{command:?}");
        run(Command::new("objcopy")
            .arg("--only-keep-debug")
            .arg(fixture.executable())
            .arg(served.join("kinds.debug")));
        run(Command::new("strip").arg("-o").arg(&program).arg(fixture.executable()));
        // Free just now; nobody else takes one that the kernel gave out a moment ago.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let child = Command::new("debuginfod")
            .args([
                "--port",
                &port.to_string(),
                "--fdcache-mbs",
                "1",
                "--fdcache-prefetch-mbs",
                "0",
                "-F",
                "-d",
                ":memory:",
            ])
            .arg(&served)
            .env_remove("DEBUGINFOD_URLS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("debuginfod runs");
        let server = Server { child, url: format!("http://127.0.0.1:{port}"), folder, program };
        server.wait();
        server
    }

    /// Waits until it has read the file.
    fn wait(&self) {
        for attempt in 0.. {
            // What is not found is remembered: each time a new cache.
            let asked = Command::new("debuginfod-find")
                .arg("debuginfo")
                .arg(&self.program)
                .env("DEBUGINFOD_URLS", &self.url)
                .env("DEBUGINFOD_CACHE_PATH", self.folder.join(format!("cache-{attempt}")))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if asked.expect("debuginfod-find runs").success() {
                return;
            }
            assert!(attempt < 600, "the server does not find {}", self.program.display());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn analyze(&self, arguments: &[&str], cache: &str) -> Outcome {
        let program = Program::new(artefacts::analyzer()).args(arguments).env("DEBUGINFOD_URLS", &self.url);
        program.env("DEBUGINFOD_CACHE_PATH", self.folder.join(cache)).run()
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(server: &Server) -> (Traced, String) {
    let traced = Program::new(&server.program).traced().succeeded();
    let file = traced.file().to_str().expect("UTF-8").to_owned();
    (traced, file)
}

#[test]
fn debug_info_comes_from_a_server_and_into_bundles() {
    if missing(&["debuginfod", "debuginfod-find", "objcopy", "strip"]) {
        return;
    }
    let mut server = Server::start();
    let (_traced, trace) = run(&server);
    let unasked = server.analyze(&["report", "--format", "json", &trace], "unasked").succeeded().text();
    assert!(!unasked.contains("kinds.c") && !unasked.contains("definite_alone"), "{unasked}");
    assert!(!server.folder.join("unasked").exists(), "nobody asked");

    let asked =
        server.analyze(&["report", "--format", "json", "--debuginfod", &trace], "cache").succeeded().text();
    assert!(asked.contains("kinds.c") && asked.contains("definite_alone"), "{asked}");
    let info = server.analyze(&["info", "--debuginfod", &trace], "cache").succeeded().text();
    assert!(info.contains("DWARF in"), "{info}");

    let bundle = server.folder.join("kinds.bundle");
    let bundle = bundle.to_str().expect("UTF-8");
    server.analyze(&["bundle", "--debuginfod", &trace, "-o", bundle], "other").succeeded();
    server.stop();
    fs::remove_file(&server.program).expect("the program's own copy");
    let offline = server.analyze(&["report", "--format", "json", bundle], "none").succeeded().text();
    assert_eq!(offline.replace(bundle, &trace), asked);

    let gone =
        server.analyze(&["report", "--format", "json", "--debuginfod", &trace], "empty").succeeded().text();
    assert!(gone.contains("debuginfod-find: "), "the server is gone, which is said:\n{gone}");
}

#[test]
fn without_servers_the_option_is_refused() {
    if missing(&["debuginfod-find"]) {
        return;
    }
    let refused = |path: &str, urls: &str| {
        let program = Program::new(artefacts::analyzer()).args(["report", "--debuginfod", "/dev/null"]);
        let outcome = program.env("DEBUGINFOD_URLS", urls).env("PATH", path).run();
        assert_eq!((outcome.code(), outcome.errors().lines().count()), (2, 1), "{}", outcome.errors());
        outcome.errors()
    };
    assert!(refused("/usr/bin", "").contains("the variable is not set"));
    assert!(refused("/nowhere", "http://127.0.0.1:1").contains("debuginfod-find cannot be run"));
}
