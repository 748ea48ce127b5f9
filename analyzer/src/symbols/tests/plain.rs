//! DWARF in the binary itself, compared with what binutils' addr2line says.

use super::*;

#[test]
fn inlined_frames_come_innermost_first() {
    let dir = Dir::with_program();
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        dir.run(&format!("g++ -O2 {version} -o shop shop.cpp"));
        let symbols = dir.symbols("shop");
        assert_full(&dir.module("shop"), &dir.options(), &symbols, &DebugSource::Dwarf);

        let (frames, _) = resolve(&dir.module("shop"), &dir.options(), &[symbols["price_spot"]]);
        let [price, checkout] = &frames[0][..] else { panic!("{frames:?}") };
        assert_eq!(price.file.as_deref(), dir.path("price.h").to_str());
        assert_eq!(checkout.file.as_deref(), dir.path("shop.cpp").to_str());
        assert_eq!(checkout.raw_function.as_deref(), Some("_ZNK4shop4Cart8checkoutEi"));
        assert!(checkout.column.is_some_and(|column| column > 0));
    }
}

#[test]
fn without_inlines_the_physical_function_and_its_line_are_given() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -g -o shop shop.cpp");
    let options = Options { inlines: false, ..dir.options() };
    let (frames, _) = resolve(&dir.module("shop"), &options, &[dir.symbols("shop")["price_spot"]]);
    assert_eq!(shown(&frames[0]), price_frames()[1..]);
}

#[test]
fn return_addresses_belong_to_the_instruction_before() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -g -o shop shop.cpp");
    let start = dir.symbols("shop")["c_entry"];
    let requests = [
        Request { module: 0, svma: start, exact: true },
        Request { module: 0, svma: start, exact: false },
        Request { module: 0, svma: start + 1, exact: false },
        Request { module: 7, svma: start, exact: true },
        Request { module: 0, svma: 0, exact: false },
    ];
    let resolved = Symbolizer::new(dir.options()).resolve(&[dir.module("shop")], &requests);
    let name = |index| resolved.frames(index).last().and_then(|frame| frame.function.as_deref());
    assert_eq!(name(0), Some("c_entry"));
    assert_ne!(name(1), Some("c_entry"));
    assert_eq!(name(2), Some("c_entry"));
    assert_eq!(resolved.frames(3), []);
    assert_eq!(resolved.frames(4), []);
    assert_eq!(resolved.frames(99), []);
    // The same answer is kept once.
    assert_eq!(resolved.spans[0], resolved.spans[2]);
}

#[test]
fn nothing_is_opened_when_disabled() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -g -o shop shop.cpp");
    let options = Options { enabled: false, ..dir.options() };
    let (frames, report) = resolve(&dir.module("shop"), &options, &[dir.symbols("shop")["c_entry"]]);
    assert_eq!(frames, [[]]);
    assert_eq!(report, ModuleReport::default());
}

#[test]
fn compressed_sections_are_inflated() {
    let dir = Dir::with_program();
    for format in ["zlib", "zlib-gnu", "zstd"] {
        dir.run("g++ -O2 -g -o plain shop.cpp");
        if dir.try_run(&format!("objcopy --compress-debug-sections={format} plain shop")).is_none() {
            continue;
        }
        let sections = dir.run("readelf -SW shop");
        assert!(sections.contains(".zdebug_info") || sections.contains(" C "), "{sections}");
        assert_full(&dir.module("shop"), &dir.options(), &dir.symbols("shop"), &DebugSource::Dwarf);
    }
}

/// binutils' opinion about every third byte of the program's functions.
#[test]
fn the_frames_agree_with_addr2line() {
    let dir = Dir::with_program();
    let source = r#"
        #include <algorithm>
        #include <map>
        #include <string>
        #include <vector>
        struct Item { std::string name; int n; };
        __attribute__((noinline)) void fill(std::vector<Item> &items, int n) {
            for (int i = 0; i < n; i++)
                items.push_back({std::to_string(i), i});
        }
        int main(int argc, char **argv) {
            std::vector<Item> items;
            std::map<std::string, int> map;
            fill(items, argc);
            std::sort(items.begin(), items.end(), [](auto &a, auto &b) { return a.name < b.name; });
            for (auto &item : items)
                map[item.name] += item.n;
            return map.size();
        }"#;
    dir.write("sort.cpp", source);
    dir.run("g++ -O2 -g -o sort sort.cpp");
    let symbols = dir.symbols("sort");
    let main = symbols["main"];
    let fill = symbols["_Z4fillRSt6vectorI4ItemSaIS0_EEi"];
    let svmas: Vec<u64> = (0..100).flat_map(|n| [main + 3 * n, fill + 3 * n]).collect();
    let (frames, report) = resolve(&dir.module("sort"), &dir.options(), &svmas);
    assert_eq!(report.debug, DebugSource::Dwarf);

    let mut compared = 0;
    for (svma, frames) in svmas.iter().zip(&frames) {
        let said = dir.run(&format!("addr2line -fie sort {svma:#x}"));
        let said: Vec<&str> = said.lines().collect();
        let said: Vec<(&str, &str)> = said.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        let depth_agrees = said.len() == frames.len();
        assert!(depth_agrees, "{svma:#x}: addr2line says {said:?}, found {:?}", shown(frames));
        for ((function, place), frame) in said.iter().zip(frames) {
            // addr2line gives bare names for some inlined functions; line 0 is "?" there.
            let raw = frame.raw_function.as_deref().unwrap_or("??");
            assert!(raw == *function || raw.contains(function), "{svma:#x}: {raw} is not {function}");
            let (file, line) = place.split(" (disc").next().unwrap().rsplit_once(':').unwrap();
            assert_eq!(frame.line.unwrap_or(0), line.parse().unwrap_or(0), "{svma:#x} {function}");
            if line != "?" {
                let ours = Path::new(frame.file.as_deref().unwrap()).canonicalize().unwrap();
                assert_eq!(ours, Path::new(file).canonicalize().unwrap(), "{svma:#x}");
            }
            compared += 1;
        }
    }
    assert!(compared > 300, "only {compared} frames compared");
}

#[test]
fn rust_names_are_demangled_in_both_schemes() {
    let dir = Dir::new();
    let source = "mod shop { pub struct Cart; impl Cart {\n\
        #[inline(never)] pub fn total<T: Into<u64>>(&self, x: T) -> u64 { x.into() * 3 } } }\n\
        fn main() { std::process::exit(shop::Cart.total(std::env::args().count() as u32) as i32) }\n";
    dir.write("shop.rs", source);
    for scheme in ["", "-Csymbol-mangling-version=v0"] {
        if dir.try_run(&format!("rustc -g -O {scheme} -o shop shop.rs")).is_none() {
            return;
        }
        let symbols = dir.symbols("shop");
        let (raw, &svma) = symbols.iter().find(|(name, _)| name.contains("Cart5total")).unwrap();
        let (frames, _) = resolve(&dir.module("shop"), &dir.options(), &[svma]);
        let last = frames[0].last().unwrap();
        assert_eq!(last.raw_function.as_deref(), Some(raw.as_str()));
        assert_eq!(last.line, Some(2));
        let name = last.function.as_deref().unwrap();
        let known = ["shop::shop::Cart::total", "<shop::shop::Cart>::total::<u32>"];
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
fn assembly_takes_its_name_from_the_symbol_table() {
    let dir = Dir::new();
    let source = ".text\n.globl typed\n.type typed,@function\ntyped:\n nop\n ret\n.size typed,.-typed\n\
        .globl untyped\nuntyped:\n nop\n ret\n.globl main\nmain:\n ret\n";
    dir.write("code.s", source);
    dir.run("gcc -g -o code code.s");
    let symbols = dir.symbols("code");
    let (frames, report) =
        resolve(&dir.module("code"), &dir.options(), &[symbols["typed"] + 1, symbols["untyped"] + 1]);
    assert_eq!(report.debug, DebugSource::Dwarf);
    assert_eq!(shown(&frames[0]), ["typed code.s:6"]);
    assert_eq!(shown(&frames[1]), ["untyped code.s:11"]);
}
