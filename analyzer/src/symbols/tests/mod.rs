//! Resolves addresses of small programs that the installed compiler and binutils build in each of the
//! shapes debug info comes in. A test whose tool is missing says so and ends.

mod damaged;
mod debug_files;
mod identity;
mod plain;
mod split_dwarf;
mod tables;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use object::read::Object;

use super::{DebugSource, Frame, ModuleRef, ModuleReport, Options, Request, Symbolizer};

/// A program with an inlined function, a method, a C function and a static one. The labels mark addresses
/// inside functions, the comments mark their lines.
const PROGRAM: &str = r#"
#include "price.h"
namespace shop {
struct Cart {
    int count;
    __attribute__((noinline)) int checkout(int x) const;
};
__attribute__((noinline)) int Cart::checkout(int x) const {
    int total = price(x) + count; // call
    asm volatile("" : "+r"(total));
    return total;
}
}
static __attribute__((noinline)) int hidden(int x) {
    asm volatile(".globl hidden_spot\nhidden_spot: nop" : "+r"(x)); // hidden
    return x;
}
extern "C" __attribute__((noinline, visibility("default"))) int c_entry(int x) {
    asm volatile(".globl entry_spot\nentry_spot: nop" : "+r"(x)); // entry
    return hidden(x) + 1;
}
int main(int argc, char **) {
    shop::Cart cart{argc};
    return cart.checkout(argc) + c_entry(argc);
}
"#;

const PRICE_H: &str = r#"
namespace shop {
struct Tag { int a, b, c, d; long name, owner, colour; unsigned char kind, flags; double weight; };
struct Shelf { Tag first, second, third; const char *label; short row, column; float height, width; };
inline __attribute__((always_inline)) int price(int x) {
    Shelf shelf; Tag tag;
    asm volatile(".globl price_spot\nprice_spot: nop" : "+r"(x) : "r"(&shelf), "r"(&tag)); // price
    return x * 3;
}
}
"#;

/// A directory that goes away with the test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("symbols-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&dir).unwrap();
        // Compilers record the resolved path.
        Dir(dir.canonicalize().unwrap())
    }

    /// With the sources of [`PROGRAM`] in it.
    fn with_program() -> Self {
        let dir = Dir::new();
        dir.write("shop.cpp", PROGRAM);
        dir.write("price.h", PRICE_H);
        dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a tool in the directory; gives what it printed, or else why it did not work.
    fn attempt(&self, command: &str) -> Result<String, String> {
        let mut words = command.split_whitespace();
        let tool = words.next().unwrap();
        let output = Command::new(tool).args(words).current_dir(&self.0).env("LC_ALL", "C").output();
        let output = output.map_err(|error| format!("cannot run {tool}: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        Err(format!("`{command}` failed:\n{text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Runs a tool that may be missing or lack what is asked of it. `None`, after saying why, if so.
    fn try_run(&self, command: &str) -> Option<String> {
        self.attempt(command).inspect_err(|why| eprintln!("not tested: {why}")).ok()
    }

    /// Runs a tool without which nothing here can be tested.
    fn run(&self, command: &str) -> String {
        self.attempt(command).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Addresses of all symbols of a file that is not stripped.
    fn symbols(&self, file: &str) -> HashMap<String, u64> {
        let mut symbols = HashMap::new();
        for line in self.run(&format!("nm {file}")).lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [addr, _, name] = fields[..] {
                symbols.insert(name.to_string(), u64::from_str_radix(addr, 16).unwrap());
            }
        }
        symbols
    }

    /// The module as a trace taken now would name it.
    fn module(&self, file: &str) -> ModuleRef {
        let path = self.path(file);
        let build_id = build_id(&path);
        ModuleRef { path, build_id, identity: None }
    }

    /// Looks for separate debug files in this directory's `debug` only.
    fn options(&self) -> Options {
        Options { debug_dirs: vec![self.path("debug")], ..Options::default() }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn build_id(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    object::File::parse(&*bytes).unwrap().build_id().unwrap().unwrap_or(&[]).to_vec()
}

fn build_id_debug_path(build_id: &[u8]) -> String {
    let hex: String = build_id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("debug/.build-id/{}/{}.debug", &hex[..2], &hex[2..])
}

/// The frames at each address (exact), and the module's report.
fn resolve(module: &ModuleRef, options: &Options, svmas: &[u64]) -> (Vec<Vec<Frame>>, ModuleReport) {
    let requests: Vec<Request> = svmas.iter().map(|&svma| Request { module: 0, svma, exact: true }).collect();
    let modules = std::slice::from_ref(module);
    let resolved = Symbolizer::new(options.clone()).resolve(modules, &requests);
    let frames = (0..requests.len()).map(|request| resolved.frames(request).to_vec()).collect();
    (frames, resolved.modules()[0].clone())
}

/// The line, from 1, on which a source has this comment.
fn line_of(source: &str, marker: &str) -> u32 {
    let comment = format!("// {marker}");
    let index = source.lines().position(|line| line.ends_with(&comment)).expect(marker);
    index as u32 + 1
}

/// Frames as text, one per line: `function file:line`, with `(inlined)`.
fn shown(frames: &[Frame]) -> Vec<String> {
    let show = |frame: &Frame| {
        let mut text = frame.function.as_deref().unwrap_or("?").to_string();
        if let Some(file) = &frame.file {
            let name = file.rsplit('/').next().unwrap();
            text += &format!(" {name}:{}", frame.line.unwrap_or(0));
        }
        if frame.inlined {
            text += " (inlined)";
        }
        text
    };
    frames.iter().map(show).collect()
}

/// What DWARF says about `price_spot`.
fn price_frames() -> Vec<String> {
    vec![
        format!("shop::price(int) price.h:{} (inlined)", line_of(PRICE_H, "price")),
        format!("shop::Cart::checkout(int) const shop.cpp:{}", line_of(PROGRAM, "call")),
    ]
}

/// What DWARF says about `hidden_spot`.
fn hidden_frames() -> Vec<String> {
    vec![format!("hidden(int) shop.cpp:{}", line_of(PROGRAM, "hidden"))]
}

/// Asserts that functions, lines and inlined frames of [`PROGRAM`] are all there.
#[track_caller]
fn assert_full(module: &ModuleRef, options: &Options, symbols: &HashMap<String, u64>, source: &DebugSource) {
    let (frames, report) = resolve(module, options, &[symbols["price_spot"], symbols["hidden_spot"]]);
    assert_eq!(report, ModuleReport { debug: source.clone(), warning: None });
    assert_eq!(shown(&frames[0]), price_frames());
    assert_eq!(shown(&frames[1]), hidden_frames());
}
