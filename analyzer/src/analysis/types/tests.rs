use super::name::{closing, parts, split};
use super::tidy::tidy;
use super::*;
use proptest::prelude::*;

fn frame(function: &str, generic: Option<&str>) -> Frame {
    Frame {
        function: Some(function.into()),
        generic: generic.map(Into::into),
        line: Some(1),
        ..Frame::default()
    }
}

/// The type that frames tell, innermost first, where debug info knows all.
fn of(functions: &[&str]) -> Option<String> {
    let frames: Vec<Frame> = functions.iter().map(|function| frame(function, None)).collect();
    block_type(&frames, true)
}

/// The type that frames tell of which only symbols are known.
fn of_symbols(functions: &[&str]) -> Option<String> {
    let frames: Vec<Frame> =
        functions.iter().map(|function| Frame { line: None, ..frame(function, None) }).collect();
    block_type(&frames, true)
}

fn of_rust(functions: &[(&str, &str)]) -> Option<String> {
    let frames: Vec<Frame> =
        functions.iter().map(|(function, generic)| frame(function, Some(*generic))).collect();
    block_type(&frames, true)
}

#[test]
fn names_are_taken_apart() {
    let taken = |name| -> Vec<(&str, Vec<&str>)> {
        parts(name).into_iter().map(|part| (part.name, part.args)).collect()
    };
    assert_eq!(
        taken("void std::vector<app::Pair<long>, std::allocator<app::Pair<long> > >::_M_insert<int>(int&&)"),
        [
            ("std", vec![]),
            ("vector", vec!["app::Pair<long>", "std::allocator<app::Pair<long> >"]),
            ("_M_insert", vec!["int"])
        ]
    );
    assert_eq!(taken("app::Own::operator new(unsigned long)").last().unwrap().0, "operator new");
    assert_eq!(taken("F::operator()(int) const").last().unwrap().0, "operator()");
    assert_eq!(taken("bool std::operator< <char>(char)")[0].0, "std");
    assert_eq!(
        taken("(anonymous namespace)::make(int) [clone .part.0]"),
        [("(anonymous namespace)", vec![]), ("make", vec![])]
    );
    assert_eq!(
        taken("core::ops::f::<u8, i32>"),
        [("core", vec![]), ("ops", vec![]), ("f", vec!["u8", "i32"])]
    );
    assert_eq!(parts("a::b<c>::d<e>(f)")[1].path, "a::b<c>");
    let scopes = [("run", vec!["int"]), ("{lambda(int)#1}", vec![]), ("make", vec!["c"])];
    assert_eq!(taken("void run<int>(int)::{lambda(int)#1}::make<c>(int) const"), scopes);
    assert_eq!(
        split("int, std::map<int, long>, void (*)(int, int), A<(1 > 0), -> >"),
        ["int", "std::map<int, long>", "void (*)(int, int)", "A<(1 > 0), -> >"]
    );
}

#[test]
fn allocators_tell_the_type() {
    for (function, found) in [
        ("std::__new_allocator<double>::allocate(unsigned long, void const*)", "double[]"),
        (
            "std::allocator_traits<std::allocator<app::A> >::allocate(std::allocator<app::A>&, unsigned long)",
            "app::A[]",
        ),
        (
            "__gnu_cxx::new_allocator<std::_List_node<app::A> >::allocate(unsigned long, void const*)",
            "app::A",
        ),
        (
            "std::__new_allocator<std::_Rb_tree_node<std::pair<int const, A> > >::allocate(unsigned long)",
            "std::pair<int const, A>",
        ),
        (
            "std::__new_allocator<std::_Sp_counted_ptr_inplace<app::A, std::allocator<void>, (__gnu_cxx::_Lock_policy)2> >::allocate(unsigned long, void const*)",
            "app::A",
        ),
        (
            "std::__1::allocator<std::__1::__shared_ptr_emplace<A, std::__1::allocator<A> > >::allocate(unsigned long)",
            "A",
        ),
        (
            "std::__new_allocator<std::__detail::_Hash_node_base*>::allocate(unsigned long)",
            "std::__detail::_Hash_node_base*[]",
        ),
        ("app::Pool<app::Session>::allocate(unsigned long)", "app::Session[]"),
        ("app::Own::operator new(unsigned long)", "app::Own"),
        ("app::Own<int>::operator new[](unsigned long)", "app::Own<int>[]"),
    ] {
        assert_eq!(of(&[function, "main"]).as_deref(), Some(found), "{function}");
        assert_eq!(of_symbols(&[function, "main"]).as_deref(), Some(found), "{function}");
    }
    for function in
        ["app::Arena<4096>::allocate(unsigned long)", "app::Arena::allocate(unsigned long)", "main"]
    {
        assert_eq!(
            of(&[function, "std::vector<int, std::allocator<int> >::push_back(int&&)"]),
            None,
            "{function}"
        );
    }
}

#[test]
fn the_library_passes_on_what_the_program_asked_for() {
    let make_shared = "_ZSt11make_sharedIN3app7SessionEJEESt10shared_ptrINSt9enable_ifIXntsrSt8is_arrayIT_E5valueES5_E4typeEEDpOT0_";
    assert_eq!(of(&["operator new(unsigned long)", make_shared, "main"]), None);
    assert_eq!(
        of(&["operator new(unsigned long)", "std::__new_allocator<int>::allocate(unsigned long)"]).as_deref(),
        Some("int[]")
    );
    let counted = "std::__shared_count<(__gnu_cxx::_Lock_policy)2>::__shared_count<app::A*>()";
    assert_eq!(of(&[counted]).as_deref(), Some("std::_Sp_counted_ptr<app::A*>"));
    let unique = "std::__detail::_MakeUniq<app::A>::__single_object std::make_unique<app::A, >(&&)";
    assert_eq!(of(&[unique, "main"]).as_deref(), Some("app::A"));
    // What was inlined into it may have allocated.
    assert_eq!(of_symbols(&[unique, "main"]), None);
    let frames = [frame(unique, None)];
    assert_eq!(block_type(&frames, false), None);
    assert_eq!(of(&["app::A::A()", "std::__new_allocator<int>::allocate(unsigned long)"]), None);
}

#[test]
fn without_inlined_frames_containers_tell_only_what_constructs_nothing() {
    let vector = |of: &str| {
        format!("void std::vector<{of}, std::allocator<{of} > >::_M_realloc_insert<{of} >({of}&&)")
    };
    assert_eq!(of_symbols(&[&vector("unsigned long")]).as_deref(), Some("unsigned long[]"));
    assert_eq!(of_symbols(&[&vector("app::A*")]).as_deref(), Some("app::A*[]"));
    assert_eq!(of_symbols(&[&vector("app::A")]), None);
    let string = "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >::_M_mutate(unsigned long)";
    assert_eq!(of_symbols(&[string, "main"]).as_deref(), Some("char[]"));
}

#[test]
fn rust_tells_types_by_the_names_of_its_debug_info() {
    let lowest = ("<alloc::alloc::Global as core::alloc::Allocator>::allocate", "allocate");
    for (function, generic, found) in [
        ("alloc::boxed::Box<T>::new", "new<t::Node>", Some("t::Node")),
        ("alloc::boxed::Box<T>::new", "new<alloc::rc::RcInner<t::Node>>", Some("t::Node")),
        ("alloc::boxed::Box<T>::new", "new<t::f::{closure_env#0}>", Some("t::f::{closure_env#0}")),
        ("alloc::raw_vec::RawVec<T,A>::grow_one", "grow_one<u32, alloc::alloc::Global>", Some("[u32]")),
        (
            "alloc::boxed::Box<T,A>::try_new_uninit_in",
            "try_new_uninit_in<alloc::collections::btree::node::LeafNode<u32, t::Node>, alloc::alloc::Global>",
            Some("[(u32, t::Node)]"),
        ),
        (
            "hashbrown::raw::RawTable<T,A>::reserve_rehash",
            "reserve_rehash<(u32, alloc::vec::Vec<t::Node, alloc::alloc::Global>), alloc::alloc::Global>",
            Some("[(u32, alloc::vec::Vec<t::Node>)]"),
        ),
        ("alloc::vec::from_elem", "from_elem<u64>", Some("[u64]")),
        ("alloc::boxed::Box<T>::new", "new", None),
        ("alloc::boxed::Box<T>::new", "new<T>", None),
        ("t::by_box", "by_box<t::Node>", None),
    ] {
        let stack = [lowest, ("alloc::raw_vec::RawVecInner<A>::finish_grow", "x"), (function, generic)];
        assert_eq!(of_rust(&stack).as_deref(), found, "{function} {generic}");
    }
}

#[test]
fn rust_tells_types_by_names_in_the_new_mangling() {
    for (function, found) in [
        ("<alloc::raw_vec::RawVec<u8>>::reserve", Some("[u8]")),
        ("<alloc::boxed::Box<t::Node>>::new", Some("t::Node")),
        ("<alloc::vec::Vec<t::Node> as core::clone::Clone>::clone", None),
        ("<alloc::raw_vec::RawVecInner<_>>::reserve::do_reserve_and_handle::<alloc::alloc::Global>", None),
        ("<t::Node as core::clone::Clone>::clone", None),
        ("<alloc::boxed::Box<dyn t::Shape>>::new_uninit", Some("dyn t::Shape")),
    ] {
        assert_eq!(of_symbols(&[function, "t::main"]).as_deref(), found, "{function}");
    }
    let shared = "<alloc::rc::Rc<t::Node>>::new";
    for unsure in ["<alloc::vec::Vec<t::Node> as core::clone::Clone>::clone", "alloc::boxed::Box<T>::new"] {
        assert_eq!(of_symbols(&[unsure, shared]), None, "what is farther out says nothing of {unsure}");
    }
    assert_eq!(
        of(&["<alloc::vec::Vec<t::Node> as core::clone::Clone>::clone"]).as_deref(),
        Some("[t::Node]"),
        "where inlined frames are known"
    );
}

#[test]
fn what_calls_the_allocator_passes_it_on() {
    for way in [
        "__rustc::__rdl_alloc",
        "__rust_alloc",
        "<std::alloc::System as core::alloc::global::GlobalAlloc>::alloc",
        "<app::Counting as core::alloc::global::GlobalAlloc>::alloc",
        "std::sys::alloc::unix::aligned_malloc",
    ] {
        assert_eq!(
            of_symbols(&[way, "<alloc::raw_vec::RawVec<u8>>::reserve"]).as_deref(),
            Some("[u8]"),
            "{way}"
        );
    }
}

#[test]
fn debug_info_of_lines_tells_types_by_the_source_file() {
    let at = |name: &str, file: &str| Frame { file: Some(file.into()), ..frame(name, None) };
    let root = "/rustc/0123abcd/library/alloc/src";
    let lowest = at("try_allocate_in<alloc::alloc::Global>", &format!("{root}/raw_vec/mod.rs"));
    for (name, file, found) in [
        ("with_capacity_in<t::Node, alloc::alloc::Global>", "raw_vec/mod.rs", Some("[t::Node]")),
        (
            "new<fn(&str) -> core::option::Option<u8>>",
            "boxed.rs",
            Some("fn(&str) -> core::option::Option<u8>"),
        ),
        ("new<alloc::rc::RcInner<t::Node>>", "boxed.rs", Some("t::Node")),
        ("<alloc::raw_vec::RawVec<u8>>::reserve", "raw_vec/mod.rs", Some("[u8]")),
        ("new<T>", "boxed.rs", None),
        ("from<u8>", "boxed.rs", None),
        ("box_new_uninit", "boxed.rs", None),
    ] {
        let frames = [lowest.clone(), at(name, &format!("{root}/{file}")), at("main", "/app/main.rs")];
        assert_eq!(block_type(&frames, true).as_deref(), found, "{name}");
        assert_eq!(block_type(&frames, false), None, "{name}, without inlined frames");
    }
    let own = [at("new<u8>", "/app/library/boxed.rs"), at("new<u8>", &format!("{root}/boxed.rs"))];
    assert_eq!(block_type(&own, true), None, "a program's own function");
}

#[test]
fn types_are_written_as_people_do() {
    for (from, to) in [
        ("std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >", "std::string"),
        (
            "std::map<int, A<B<c> >, std::less<int>, std::allocator<std::pair<int const, A<B<c> > > > >[]",
            "std::map<int, A<B<c>>>[]",
        ),
        ("alloc::vec::Vec<u8, alloc::alloc::Global>", "alloc::vec::Vec<u8>"),
        ("std::allocator<int>", "std::allocator<int>"),
        ("std::pair<std::allocator<int>, int>", "std::pair<std::allocator<int>, int>"),
        ("A<(1 > 0)>", "A<(1 > 0)>"),
        ("A<", "A<"),
    ] {
        assert_eq!(tidy(from), to);
    }
}

/// Types as a demangler writes them.
fn cpp_type() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("int".to_owned()),
        Just("unsigned long".to_owned()),
        Just("(anonymous namespace)::Thing".to_owned()),
        Just("main::{lambda(int)#1}".to_owned()),
        "[a-z]{1,6}::[A-Z][a-z]{0,6}",
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| format!("{of}*")),
            inner.clone().prop_map(|of| format!("{of} const&")),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|args| {
                let args = args.join(", ");
                format!("app::Table<{args}{}>", if args.ends_with('>') { " " } else { "" })
            }),
            (inner.clone(), inner).prop_map(|(of, to)| format!("app::Function<{to} (*)({of})>")),
        ]
    })
}

proptest! {
    #[test]
    fn an_allocators_type_is_found_whatever_it_is(of in cpp_type(), other in cpp_type()) {
        let function = format!("{other} app::Pool<{of} >::allocate<{other} >({other}, unsigned long) const");
        let plain = of.strip_suffix(" const").unwrap_or(&of);
        prop_assert_eq!(super::tests::of(&[&function]), Some(tidy(&format!("{plain}[]"))));
    }

    #[test]
    fn arguments_are_split_where_they_were_joined(args in prop::collection::vec(cpp_type(), 1..5)) {
        let list = args.join(", ");
        prop_assert_eq!(split(&list), args);
    }

    #[test]
    fn tidy_types_stay_as_they_are(of in cpp_type()) {
        let once = tidy(&of);
        prop_assert_eq!(tidy(&once), once);
    }

    #[test]
    fn damaged_names_never_panic(
        name in "(std|alloc|<|>|::|operator|\\(|\\)|\\[|\\{|\\}| |,|->|as |vector|Box|ä|T|allocate|new|&|impl ){0,24}",
        generic in prop::option::of("(a|<|>|,|ü|::| ){0,12}"),
    ) {
        for line in [None, Some(1)] {
            let frames = [Frame { line, ..frame(&name, generic.as_deref()) }];
            let _ = block_type(&frames, true);
        }
        let _ = (parts(&name), split(&name), tidy(&name));
        prop_assert!(name.find('<').is_none_or(|open| closing(&name, open) <= name.len()));
    }
}
