//! Symbol tables: full, dynamic, mini debuginfo, and the vdso's.

use object::read::ObjectSymbol;

use super::*;
use crate::symbols::vdso;

#[test]
fn the_symbol_table_names_functions_without_dwarf() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -o shop shop.cpp");
    let symbols = dir.symbols("shop");
    let svmas = [symbols["price_spot"], symbols["hidden_spot"], symbols["_start"] + 1, 0x10];
    let (frames, report) = resolve(&dir.module("shop"), &dir.options(), &svmas);
    assert_eq!(report, ModuleReport { debug: DebugSource::Symtab, warning: None });
    assert_eq!(shown(&frames[0]), ["shop::Cart::checkout(int) const"]);
    assert_eq!(shown(&frames[1]), ["hidden(int)"]);
    assert_eq!(shown(&frames[2]), ["_start"]);
    assert_eq!(frames[3], []);
    assert_eq!(frames[0][0].raw_function.as_deref(), Some("_ZNK4shop4Cart8checkoutEi"));
}

#[test]
fn indirect_functions_count_as_functions() {
    let dir = Dir::new();
    let source = "static int real(void) { return 7; }\n\
        static int (*choose(void))(void) { return real; }\n\
        int chosen(void) __attribute__((ifunc(\"choose\")));\n\
        int main(void) { return chosen(); }\n";
    dir.write("ifunc.c", source);
    dir.run("gcc -O0 -fPIC -shared -o ifunc.so ifunc.c");
    let svma = dir.symbols("ifunc.so")["chosen"];
    dir.run("strip ifunc.so");
    let (frames, report) = resolve(&dir.module("ifunc.so"), &dir.options(), &[svma]);
    assert_eq!(report.debug, DebugSource::DynSym);
    assert_eq!(shown(&frames[0]), ["chosen"]);
}

#[test]
fn dynamic_symbols_name_only_what_they_cover() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -fPIC -shared -fvisibility=hidden -o shop.so shop.cpp");
    let symbols = dir.symbols("shop.so");
    dir.run("strip shop.so");
    let svmas = [symbols["entry_spot"], symbols["_ZL6hiddeni"]];
    let (frames, report) = resolve(&dir.module("shop.so"), &dir.options(), &svmas);
    assert_eq!(report, ModuleReport { debug: DebugSource::DynSym, warning: None });
    assert_eq!(shown(&frames[0]), ["c_entry"]);
    // The labels are exported, so they may name what the exported functions do not cover.
    let name = frames[1].first().and_then(|frame| frame.function.as_deref());
    assert_ne!(name, Some("c_entry"));
}

#[test]
fn mini_debuginfo_adds_to_the_dynamic_symbols() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -fPIC -shared -o shop.so shop.cpp");
    let symbols = dir.symbols("shop.so");
    // As distributions make it: only the functions that are not exported anyway.
    dir.run("objcopy --only-keep-debug shop.so whole");
    dir.run("objcopy -S --remove-section=.gdb_index --keep-symbol=_ZL6hiddeni whole mini");
    if dir.try_run("xz mini").is_none() {
        return;
    }
    dir.run("strip shop.so");
    dir.run("objcopy --add-section=.gnu_debugdata=mini.xz shop.so");
    let svmas = [symbols["hidden_spot"], symbols["entry_spot"]];
    let (frames, report) = resolve(&dir.module("shop.so"), &dir.options(), &svmas);
    assert_eq!(report, ModuleReport { debug: DebugSource::MiniDebugInfo, warning: None });
    assert_eq!(shown(&frames[0]), ["hidden(int)"]);
    assert_eq!(shown(&frames[1]), ["c_entry"]);

    // Damaged: a warning, and the dynamic symbols.
    dir.write("mini.xz", "\u{fd}7zXZ no longer");
    dir.run("objcopy --update-section=.gnu_debugdata=mini.xz shop.so");
    let (frames, report) = resolve(&dir.module("shop.so"), &dir.options(), &svmas);
    assert_eq!(report.debug, DebugSource::DynSym);
    assert!(report.warning.is_some_and(|warning| warning.contains("mini debuginfo")));
    assert_eq!(shown(&frames[1]), ["c_entry"]);
}

#[test]
fn the_vdso_is_read_from_our_own_process() {
    let Some(image) = vdso::own_image() else {
        eprintln!("not tested: this process has no vdso, or it cannot be read");
        return;
    };
    let elf = object::File::parse(&*image).unwrap();
    let symbol = elf.dynamic_symbols().find(|symbol| symbol.name() == Ok("__vdso_clock_gettime"));
    let Some(symbol) = symbol else {
        eprintln!("not tested: this architecture's vdso names its functions differently");
        return;
    };
    let build_id = elf.build_id().unwrap().unwrap().to_vec();
    for path in ["linux-vdso.so.1", "[vdso]"] {
        let mut module = ModuleRef { path: path.into(), build_id: build_id.clone(), identity: None };
        let (frames, report) = resolve(&module, &Options::default(), &[symbol.address() + 1]);
        assert_eq!(report, ModuleReport { debug: DebugSource::DynSym, warning: None });
        assert_eq!(shown(&frames[0]), ["clock_gettime"]);

        module.build_id[0] ^= 1;
        let (frames, report) = resolve(&module, &Options::default(), &[symbol.address() + 1]);
        assert_eq!(frames, [[]]);
        assert!(report.warning.is_some_and(|warning| warning.contains("kernel")));
    }
}
