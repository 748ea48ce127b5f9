//! A real browser without a window, driven as its developer tools do: JSON messages, each ended by a zero byte, over two pipes
//! (`--remote-debugging-pipe`; Chrome DevTools Protocol 1.3).

use crate::Scratch;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The program that is driven.
pub const CHROMIUM: &str = "chromium";
/// How long an answer may take before the browser counts as hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: File,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    events: Vec<Value>,
    _home: Scratch,
}

impl Browser {
    /// Starts one, its window so many pixels wide.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn new(width: u32) -> Browser {
        let home = Scratch::new();
        let (theirs_in, ours_out) = std::io::pipe().expect("a pipe");
        let (ours_in, theirs_out) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(CHROMIUM);
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args([
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--force-color-profile=srgb",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", home.path().display()))
            .arg("about:blank")
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let (input, output) = (theirs_in.as_raw_fd(), theirs_out.as_raw_fd());
        let pipes = move || {
            // SAFETY: system calls. Out of the way first: 3 or 4 may be one of the pipes.
            let is_done = unsafe {
                let input = libc::fcntl(input, libc::F_DUPFD_CLOEXEC, 10);
                let output = libc::fcntl(output, libc::F_DUPFD_CLOEXEC, 10);
                libc::dup2(input, 3) == 3 && libc::dup2(output, 4) == 4
            };
            if is_done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        // SAFETY: nothing but system calls.
        unsafe { command.pre_exec(pipes) };
        let child = command.spawn().expect("chromium can be started");
        drop((theirs_in, theirs_out));
        let (give, messages) = mpsc::channel();
        let mut from = File::from(OwnedFd::from(ours_in));
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let mut part = vec![0; 1 << 16];
            while let Ok(length @ 1..) = from.read(&mut part) {
                bytes.extend_from_slice(&part[..length]);
                while let Some(end) = bytes.iter().position(|byte| *byte == 0) {
                    let message = serde_json::from_slice(&bytes[..end]).expect("JSON");
                    bytes.drain(..=end);
                    if give.send(message).is_err() {
                        return;
                    }
                }
            }
        });
        let to = File::from(OwnedFd::from(ours_out));
        let mut browser =
            Browser { child, to, messages, session: None, last: 0, events: Vec::new(), _home: home };
        let page = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            browser.ask("Target.attachToTarget", json!({ "targetId": page["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        // The mouse would miss what is still moving.
        let still = json!([{ "name": "prefers-reduced-motion", "value": "reduce" }]);
        browser.ask("Emulation.setEmulatedMedia", json!({ "features": still }));
        browser.resize(width);
        browser
    }

    /// Makes the window so many pixels wide; a narrow one is a phone's.
    pub fn resize(&mut self, width: u32) {
        let is_phone = width < 600;
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": is_phone });
        self.ask("Emulation.setDeviceMetricsOverride", size);
    }

    /// Sends a command and gives its answer.
    ///
    /// # Panics
    ///
    /// If the browser refuses, or is gone.
    #[track_caller]
    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message).expect("JSON");
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser listens");
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect("the browser answers");
            if message["id"] == json!(self.last) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    /// Opens a file and waits until its scripts are done.
    #[track_caller]
    pub fn open(&mut self, page: &Path) {
        self.events.clear();
        let answer = self.ask("Page.navigate", json!({ "url": format!("file://{}", page.display()) }));
        assert!(answer["errorText"].is_null(), "{answer}");
        self.wait_for("document.documentElement && document.documentElement.dataset.ready === 'yes'");
    }

    /// The value of an expression in the page.
    ///
    /// # Panics
    ///
    /// If it throws.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let what = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", what);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// The same as text.
    #[track_caller]
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression);
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// The same as a number.
    #[track_caller]
    pub fn number(&mut self, expression: &str) -> f64 {
        let value = self.value(expression);
        value.as_f64().unwrap_or_else(|| panic!("{expression} is {value}"))
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait_for(&mut self, expression: &str) {
        let start = Instant::now();
        while self.value(&format!("Boolean({expression})")) != json!(true) {
            assert!(start.elapsed() < PATIENCE, "never: {expression}\n{:?}", self.complaints());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The middle of the first element of a selector, scrolled into view, in pixels of the window.
    #[track_caller]
    fn place(&mut self, selector: &str) -> (f64, f64) {
        // Until it has been scrolled there, the mouse would hit what was.
        let place = self.value(&format!(
            "(async () => {{ const box = document.querySelector({selector:?}); \
             box.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame); \
             const r = box.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; }})()"
        ));
        (place[0].as_f64().expect("a place"), place[1].as_f64().expect("a place"))
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64)) {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let event = json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": 1, "clickCount": 1 });
        self.ask("Input.dispatchMouseEvent", event);
    }

    /// Clicks on an element with the mouse.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let place = self.place(selector);
        self.mouse("mouseMoved", place);
        self.mouse("mousePressed", place);
        self.mouse("mouseReleased", place);
    }

    /// Drags the mouse over an element from one share of its width to another.
    #[track_caller]
    pub fn drag(&mut self, selector: &str, from: f64, to: f64) {
        let (middle, y) = self.place(selector);
        let width =
            self.number(&format!("document.querySelector({selector:?}).getBoundingClientRect().width"));
        let x = |share: f64| middle + (share - 0.5) * width;
        self.mouse("mouseMoved", (x(from), y));
        self.mouse("mousePressed", (x(from), y));
        for step in 1..=4 {
            self.mouse("mouseMoved", (x(from) + (x(to) - x(from)) * f64::from(step) / 4.0, y));
        }
        self.mouse("mouseReleased", (x(to), y));
    }

    /// Presses a key of the keyboard: `Enter`, `ArrowDown`, `a`.
    pub fn key(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            _ => 0,
        };
        let is_text = key.chars().count() == 1 || key == "Enter";
        let typed = if key == "Enter" { "\r" } else { key };
        let mut event = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
        if is_text {
            event["text"] = json!(typed);
        }
        self.ask("Input.dispatchKeyEvent", event);
        self.ask(
            "Input.dispatchKeyEvent",
            json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code }),
        );
    }

    /// Sets a field or a choice, as a user would.
    #[track_caller]
    pub fn set(&mut self, selector: &str, value: &str) {
        self.value(&format!(
            "(() => {{ const field = document.querySelector({selector:?}); field.value = {value:?}; \
             for (const what of ['input', 'change']) field.dispatchEvent(new Event(what, {{ bubbles: true }})); }})()"
        ));
    }

    /// What the page or the browser complained of since the page was opened, and what was loaded besides the page.
    pub fn complaints(&mut self) -> Vec<String> {
        // Whatever came before this answer has been read then.
        self.ask("Runtime.evaluate", json!({ "expression": "0" }));
        let is_complaint = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => true,
            Some("Network.requestWillBeSent") => event["params"]["type"] != "Document",
            _ => false,
        };
        self.events.iter().filter(is_complaint).map(Value::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its own processes end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
