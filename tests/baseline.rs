//! `--baseline`: known findings pass, new and larger ones fail.

use libleak_tests::{Fixture, Outcome, Program, Scratch, Traced, artefacts};
use std::fs;
use std::path::Path;

fn analyze(command: &str) -> Program {
    Program::new(artefacts::analyzer()).arg(command)
}

/// It loses so many blocks but one, and one more in another function if `another`.
fn lossy(blocks: &str, another: bool) -> Traced {
    let program = Program::new(Fixture::c("two_kinds.c").executable()).arg(blocks);
    (if another { program.arg("another") } else { program }).traced().succeeded()
}

fn check(traces: &[&Traced], baseline: &Path, options: &[&str]) -> Outcome {
    let files: Vec<_> = traces.iter().flat_map(|traced| traced.files()).collect();
    analyze("check").args(options).arg("--baseline").arg(baseline).args(files).run()
}

#[test]
fn known_findings_pass_up_to_twice_their_bytes() {
    let scratch = Scratch::new();
    let baseline = scratch.join("leaks.baseline");
    let (six, eleven, twelve, other) =
        (lossy("6", false), lossy("11", false), lossy("12", false), lossy("6", true));
    let missing = check(&[&six], &baseline, &[]);
    assert_eq!(missing.code(), 2, "{}", missing.text());
    assert!(missing.errors().contains("--update-baseline"), "{}", missing.errors());

    assert_eq!(check(&[&six], &baseline, &["--update-baseline"]).code(), 0);
    let text = fs::read_to_string(&baseline).expect("it was written");
    let line = text.lines().find(|line| line.contains("fingerprint")).expect("a finding");
    for part in ["\"rule\":\"definite\"", "\"bytes\":200", "\"blocks\":5", "\"function\":\"main\""] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let passed = check(&[&six], &baseline, &[]);
    assert_eq!(passed.code(), 0);
    assert!(passed.text().contains("1 finding in the baseline"), "{}", passed.text());
    assert_eq!(check(&[&eleven], &baseline, &[]).code(), 0, "twice as much");
    assert_eq!(check(&[&twelve], &baseline, &[]).code(), 1, "more than twice as much");
    let new = check(&[&other], &baseline, &[]);
    assert_eq!(new.code(), 1);
    assert!(new.text().contains("another") && new.text().contains("1 definite"), "{}", new.text());
    assert_eq!(fs::read_to_string(&baseline).expect("it is there"), text, "nobody asked for a change");
}

#[test]
fn updates_add_and_prunes_remove() {
    let scratch = Scratch::new();
    let baseline = scratch.join("leaks.baseline");
    let findings = || {
        let text = fs::read_to_string(&baseline).expect("it is there");
        text.lines().filter(|line| line.contains("fingerprint")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (five, seven, other) = (lossy("5", false), lossy("7", false), lossy("5", true));
    assert_eq!(check(&[&five, &seven], &baseline, &["--update-baseline"]).code(), 0);
    assert_eq!(findings().len(), 1);
    assert!(findings()[0].contains("\"bytes\":240"), "the largest of all: {:?}", findings());
    assert_eq!(check(&[&other], &baseline, &["--update-baseline"]).code(), 0);
    let both = findings();
    assert!(both.len() == 2 && both.is_sorted(), "{both:?}");
    assert_eq!(check(&[&five], &baseline, &[]).code(), 0);
    assert_eq!(findings().len(), 2, "nobody asked to prune");

    let unchecked = Program::new("/bin/true").env("LIBLEAK_LEAK_CHECK", "off").traced().succeeded();
    let outcome = check(&[&five, &unchecked], &baseline, &["--prune"]);
    assert_eq!((outcome.code(), findings().len()), (3, 2), "not all is known");
    assert!(outcome.errors().contains("--prune"), "{}", outcome.errors());
    assert_eq!(check(&[&five], &baseline, &["--prune", "--fail-on", "reachable,definite"]).code(), 1);
    assert_eq!(findings().len(), 1);
    assert_eq!(check(&[&five], &baseline, &["--prune", "--fail-on", "leak"]).code(), 0);
    assert_eq!(findings().len(), 1, "that rule was not asked for");
    let left: Vec<_> = fs::read_dir(scratch.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn run_knows_them_too() {
    let scratch = Scratch::new();
    let baseline = scratch.join("leaks.baseline");
    let run = |options: &[&str], more: &[&str]| {
        let program = analyze("run").args(options).arg("--baseline").arg(&baseline).arg("--");
        program.arg(Fixture::c("two_kinds.c").executable()).args(more).run()
    };
    let definite = ["--fail-on", "definite"];
    assert_eq!(run(&definite, &[]).code(), 2, "there is none");
    assert_eq!(run(&[&definite[..], &["--update-baseline"]].concat(), &[]).code(), 0);
    let outcome = run(&definite, &[]);
    assert_eq!(outcome.code(), 0, "{}", outcome.errors());
    assert_eq!(run(&definite, &["5", "another"]).code(), 23);
    assert_eq!(run(&[], &[]).code(), 2, "nothing fails without --fail-on");
}

#[test]
fn what_is_no_baseline_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.write("leaks.baseline", "{\"schema\": \"other/1\", \"findings\": []}");
    for options in [&[][..], &["--update-baseline"]] {
        let outcome = analyze("check").args(options).arg("--baseline").arg(&file).arg("/dev/null").run();
        assert_eq!(outcome.code(), 2);
        assert!(outcome.errors().contains("leaks.baseline: is no baseline"), "{}", outcome.errors());
    }
    assert_eq!(analyze("check").args(["--prune", "/dev/null"]).run().code(), 2, "there is nothing to prune");
}
