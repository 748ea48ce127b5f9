use super::*;

fn frames(names: &[&str]) -> Vec<Frame> {
    names.iter().map(|name| Frame { function: Some((*name).into()), ..Frame::default() }).collect()
}

fn matches(callers: &[&str], stack: &[&str]) -> bool {
    let text = format!("{{\n n\n Memcheck:Leak\n{}\n}}", callers.join("\n"));
    parse(&text).expect("it is right")[0].matches(Some(Origin::Malloc), &frames(stack), &[])
}

#[test]
fn the_stack_begins_with_the_allocation_function_and_need_not_be_whole() {
    let stack = ["make", "run", "main"];
    assert!(matches(&["fun:malloc", "fun:make"], &stack));
    assert!(matches(&["fun:*alloc", "fun:m?ke", "fun:run", "fun:main"], &stack));
    assert!(!matches(&["fun:make"], &stack), "the allocation function is missing");
    assert!(!matches(&["fun:malloc", "fun:run"], &stack), "a frame is missing");
    assert!(!matches(&["fun:malloc", "fun:mak"], &stack), "all of a name must match");
    assert!(!matches(&["fun:malloc", "fun:make", "fun:run", "fun:main", "fun:more"], &stack));
}

#[test]
fn dots_stand_for_any_number_of_frames() {
    let stack = ["a", "b", "a", "c", "main"];
    assert!(matches(&["...", "fun:c"], &stack));
    assert!(matches(&["fun:malloc", "...", "fun:a", "fun:c", "..."], &stack), "the first a is not the one");
    assert!(matches(&["fun:malloc", "...", "fun:a"], &stack), "none is a number, too");
    assert!(!matches(&["fun:malloc", "...", "fun:b", "fun:c"], &stack));
}

#[test]
fn many_dots_take_no_exponential_time() {
    let callers: Vec<&str> = [["...", "fun:a"]; 60].concat().into_iter().chain(["fun:b"]).collect();
    assert!(!matches(&callers, &["a"; 128]));
}

#[test]
fn functions_match_mangled_and_readable_and_without_parameters() {
    let frame = Frame {
        raw_function: Some("_ZN3app4makeEi".into()),
        function: Some("app::make(int)".into()),
        file: Some("/src/app/make.cpp".into()),
        line: Some(12),
        ..Frame::default()
    };
    let is = |text: &str| caller(text).expect(text).is(&frame, &[]);
    for text in
        ["fun:_ZN3app4make*", "fun:app::make(int)", "fun:app::make", "src:make.cpp:12", "src:*/app/*:12"]
    {
        assert!(is(text), "{text}");
    }
    for text in ["fun:make", "src:make.cpp:13", "src:ake.cpp", r"fun:app::\*", "obj:*"] {
        assert!(!is(text), "{text}");
    }
    let inlined = Frame {
        function: Some("std::vector<int, A<B>>::reserve(int)".into()),
        inlined: true,
        ..Frame::default()
    };
    assert!(["fun:reserve", "fun:reserve<A<B> >"].iter().all(|text| caller(text).unwrap().is(&inlined, &[])));
    assert!(!caller("fun:vector").unwrap().is(&inlined, &[]));
    assert!(caller("fun:_Znwm").unwrap().is_allocator(Some(Origin::New)));
    assert!(!caller("fun:_Znwm").unwrap().is_allocator(Some(Origin::NewArray)));
}

#[test]
fn what_is_about_other_errors_is_passed_over() {
    let text = "# all\n{\n a\n Memcheck:Cond\n fun:x\n}\n\n{\n b\n Helgrind:Race\n fun:y\n}\n{\n c\n Memcheck,drd:Leak\n \
                match-leak-kinds: definite, possible\n fun:malloc\n}\n";
    let blocks = parse(text).expect("it is right");
    assert_eq!(blocks.len(), 1);
    assert_eq!((&*blocks[0].name, blocks[0].line), ("c", 13));
    assert_eq!(blocks[0].kinds, Some(vec![Kind::Definite, Kind::Possible]));
}

#[test]
fn errors_name_their_line() {
    for (text, line) in [
        ("{\n a\n Memcheck:Leak\n fun:malloc\n", 1),
        ("{\n a\n Memcheck:Leak\n nonsense\n}", 4),
        ("{\n a\n Memcheck:Leak\n fun:\n}", 4),
        ("{\n a\n Memcheck:Leak\n}", 1),
        ("{\n a\n}", 1),
        ("{\n a\n Memcheck\n fun:x\n}", 3),
        ("{\n a\n Memcheck:Leak\n match-leak-kinds: lost\n fun:x\n}", 4),
        ("{\n a\n Memcheck:Leak\n{\n", 4),
        ("{\n a\n Memcheck:Leak\n fun:x\n}\nleak:a\n", 6),
    ] {
        assert_eq!(parse(text).map(|_| ()).map_err(|(line, _)| line), Err(line), "{text}");
    }
}
