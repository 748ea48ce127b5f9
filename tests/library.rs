//! libleak.so as a file: it loads wherever a glibc of 2012 or later is, and brings nothing along.

use libleak_tests::{artefacts, missing};
use std::process::Command;

fn objdump(option: &str) -> String {
    let run =
        Command::new("objdump").arg(option).arg(artefacts::library()).output().expect("objdump can be run");
    assert!(run.status.success(), "objdump {option}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("objdump prints text")
}

#[test]
fn no_symbol_needs_a_glibc_newer_than_2_17() {
    if missing(&["objdump"]) {
        return;
    }
    let table = objdump("-T");
    let undefined: Vec<&str> = table.lines().filter(|line| line.contains("*UND*")).collect();
    assert!(!undefined.is_empty(), "a library on libc has undefined symbols:\n{table}");
    let newer: Vec<&&str> =
        undefined.iter().filter(|line| version(line).is_some_and(|found| found > [2, 17])).collect();
    assert!(newer.is_empty(), "{newer:#?}");
}

/// The glibc version that a line of `objdump -T` asks for.
fn version(line: &str) -> Option<[u32; 2]> {
    let (_, version) = line.split_once("GLIBC_")?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok());
    Some([numbers.next()?, numbers.next()?])
}

#[test]
fn the_only_library_it_needs_is_libc() {
    if missing(&["objdump"]) {
        return;
    }
    let headers = objdump("-p");
    let needed: Vec<&str> =
        headers.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).map(str::trim).collect();
    assert_eq!(needed, ["libc.so.6"]);
}

#[test]
fn its_stack_is_not_executable_and_its_code_is_not_relocated() {
    if missing(&["objdump"]) {
        return;
    }
    let headers = objdump("-p");
    assert!(!headers.contains("TEXTREL"), "text relocations:\n{headers}");
    let stack = headers.split_once("STACK off").expect("a GNU_STACK header").1;
    let flags = stack.split_once("flags ").expect("its flags").1;
    assert!(flags.starts_with("rw-"), "flags of the stack: {}", flags.lines().next().unwrap_or(""));
}
