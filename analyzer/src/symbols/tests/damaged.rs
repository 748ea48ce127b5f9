//! Damaged files: fewer names, never a panic, a hang or a stack overflow.

use std::ops::Range;

use object::read::ObjectSection;

use super::*;

/// A small generator with a fixed seed: a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }
}

/// Resolves addresses of many damaged copies of `file`.
fn survive(dir: &Dir, file: &str, rounds: usize) {
    let symbols = dir.symbols(file);
    let svmas: Vec<u64> = ["price_spot", "hidden_spot", "entry_spot", "main"]
        .into_iter()
        .map(|name| symbols[name])
        .chain([0, 1, u64::MAX])
        .collect();
    let intact = std::fs::read(dir.path(file)).unwrap();
    // Without build-id to compare, whatever is there is read.
    let module = ModuleRef { path: dir.path("damaged"), build_id: Vec::new(), identity: None };
    let debug_start = debug_range(&intact);
    let mut random = Random(7);
    let mut answered = 0;
    for round in 0..rounds {
        let mut bytes = intact.clone();
        if round % 8 == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        // Half of the damage goes where the debug info is.
        for _ in 0..=random.below(16) {
            if !bytes.is_empty() {
                let at = if round % 2 == 0 {
                    random.below(bytes.len())
                } else {
                    debug_start.start + random.below(debug_start.len())
                };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = match random.below(4) {
                        0 => 0xff,
                        1 => 0,
                        _ => *byte ^ 1 << random.below(8),
                    };
                }
            }
        }
        dir.write("damaged", &bytes);
        let (frames, _) = resolve(&module, &dir.options(), &svmas);
        answered += frames.iter().filter(|frames| !frames.is_empty()).count();
    }
    assert!(answered > rounds / 2, "hardly anything was read: {answered} answers in {rounds} rounds");
}

/// Where in the file the debug sections are.
fn debug_range(bytes: &[u8]) -> Range<usize> {
    let elf = object::File::parse(bytes).unwrap();
    let ranges: Vec<(u64, u64)> = elf
        .sections()
        .filter(|section| section.name().is_ok_and(|name| name.starts_with(".debug")))
        .filter_map(|section| section.file_range())
        .collect();
    let start = ranges.iter().map(|&(start, _)| start).min().unwrap();
    let end = ranges.iter().map(|&(start, size)| start + size).max().unwrap();
    start as usize..end as usize
}

#[test]
fn damaged_dwarf_never_panics() {
    let dir = Dir::with_program();
    for flags in ["-gdwarf-4", "-gdwarf-5"] {
        dir.run(&format!("g++ -O2 {flags} -o shop shop.cpp"));
        survive(&dir, "shop", 1000);
    }
}

#[test]
fn damaged_compressed_sections_never_panic() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -g -gz=zlib -o shop shop.cpp");
    survive(&dir, "shop", 200);
    if dir.try_run("objcopy --compress-debug-sections=zstd shop zstd").is_some() {
        survive(&dir, "zstd", 200);
    }
}

#[test]
fn damaged_split_dwarf_never_panics() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -g -gsplit-dwarf -c -o shop.o shop.cpp");
    dir.run("g++ -o shop shop.o");
    let symbols = dir.symbols("shop");
    let intact = std::fs::read(dir.path("shop.dwo")).unwrap();
    let mut random = Random(11);
    for _ in 0..300 {
        let mut bytes = intact.clone();
        for _ in 0..=random.below(8) {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        dir.write("shop.dwo", &bytes);
        resolve(&dir.module("shop"), &dir.options(), &[symbols["price_spot"], symbols["main"]]);
    }
}

/// Inlined calls nested deeper than any compiler nests them: the DWARF reader recurses for each.
#[test]
fn absurdly_nested_inlining_does_not_overflow_the_stack() {
    let dir = Dir::new();
    let depth = 100_000;
    let source = format!(
        r#"
        .text
        .globl main
        .type main,@function
main:   nop
        ret
        .size main,.-main
.Lend:
        .section .debug_abbrev,"",@progbits
        .uleb128 1, 0x11; .byte 1, 0x11,1, 0x12,7, 0,0
        .uleb128 2, 0x2e; .byte 1, 0x03,8, 0x11,1, 0x12,7, 0,0
        .uleb128 3, 0x1d; .byte 1, 0,0
        .byte 0
        .section .debug_info,"",@progbits
        .long .Lfin - .Lver
.Lver:  .value 4
        .long 0
        .byte 8
        .uleb128 1
        .quad main, 2
        .uleb128 2
        .string "nested"
        .quad main, 2
        .fill {depth}, 1, 3
        .fill {}, 1, 0
.Lfin:
"#,
        depth + 2
    );
    dir.write("nested.s", source.replace("; .byte", "\n        .byte"));
    dir.run("gcc -o nested nested.s");
    let svma = dir.symbols("nested")["main"];
    let (frames, report) = resolve(&dir.module("nested"), &dir.options(), &[svma]);
    assert_eq!(report.debug, DebugSource::Dwarf);
    assert_eq!(shown(&frames[0]), ["nested"]);
}
