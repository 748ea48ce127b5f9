//! What shells, manual readers and terminals get of `leak-analyze`, each asked itself.

use libleak_tests::{Fixture, Program, Scratch, artefacts, missing};
use std::fs;
use std::path::PathBuf;

fn analyze(args: &[&str]) -> Program {
    Program::new(artefacts::analyzer()).args(args)
}

/// A file with the completions of a shell.
fn completions(folder: &Scratch, shell: &str, name: &str) -> PathBuf {
    let script = analyze(&["completions", shell]).run().succeeded();
    folder.write(name, script.stdout)
}

/// The names of all commands, as --help lists them.
fn commands() -> Vec<String> {
    let help = analyze(&["--help"]).run().succeeded().text();
    let list = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    let names = list
        .lines()
        .filter(|line| !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next());
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 8 && names.iter().any(|name| name == "check"), "{names:?}");
    names
}

#[test]
fn bash_completes_commands_options_values_and_files() {
    if missing(&["bash"]) {
        return;
    }
    let folder = Scratch::new();
    let script = completions(&folder, "bash", "leak-analyze");
    let complete = |words: &str| -> Vec<String> {
        let ask = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             entry=$(complete -p leak-analyze); entry=${{entry#*-F }}; \
             ${{entry%% *}} leak-analyze \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let bash = Program::new("bash").args(["--norc", "-c", &ask]).run().succeeded();
        bash.text().lines().map(str::to_owned).collect()
    };
    assert_eq!(complete("leak-analyze chec"), ["check"]);
    assert_eq!(complete("leak-analyze report --min-bl"), ["--min-blocks"]);
    assert_eq!(complete("leak-analyze report --sort gro"), ["growth"]);
    let file = folder.write("known.json", "");
    let baseline = format!("leak-analyze check --baseline {}/kno", folder.path().display());
    assert_eq!(complete(&baseline), [file.to_str().expect("UTF-8")]);
    // Traces are completed by what bash does of itself where there is nothing else.
    assert_eq!(complete("leak-analyze info libleak.a"), [""]);
    let script = fs::read_to_string(&script).expect("one's own file");
    assert!(script.contains("-o default leak-analyze"), "{script}");
}

#[test]
fn fish_completes_commands_and_options() {
    if missing(&["fish"]) {
        return;
    }
    let folder = Scratch::new();
    let script = completions(&folder, "fish", "leak-analyze.fish");
    let complete = |line: &str| {
        let ask = format!("source {}; complete -C '{line}'", script.display());
        let fish = Program::new("fish").env("HOME", folder.path()).args(["--no-config", "-c", &ask]);
        let answer = fish.run().succeeded().text();
        answer.lines().filter_map(|line| line.split('\t').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    for name in commands() {
        assert!(complete(&format!("leak-analyze {name}")).contains(&name), "{name}");
    }
    assert_eq!(complete("leak-analyze check --limit-gro"), ["--limit-growth"]);
}

#[test]
fn zsh_takes_the_completions_as_those_of_the_command() {
    if missing(&["zsh"]) {
        return;
    }
    let folder = Scratch::new();
    completions(&folder, "zsh", "_leak-analyze");
    let ask = format!(
        "fpath=({} $fpath); autoload -U compinit; compinit -u -D; print $_comps[leak-analyze]; \
         autoload +X _leak-analyze && print loaded",
        folder.path().display()
    );
    let zsh = Program::new("zsh").args(["-f", "-c", &ask]).run().succeeded();
    assert_eq!((zsh.text().as_str(), zsh.errors().as_str()), ("_leak-analyze\nloaded\n", ""));
}

#[test]
fn every_command_has_a_manual_page_with_all_its_options() {
    if missing(&["groff"]) {
        return;
    }
    let folder = Scratch::new();
    analyze(&["man", "--output-dir"]).arg(folder.path()).run().succeeded();
    let pages = std::iter::once(String::new()).chain(commands());
    for name in pages.clone() {
        let command: Vec<&str> = Some(name.as_str()).filter(|name| !name.is_empty()).into_iter().collect();
        let file = folder.join([&["leak-analyze"], &command[..]].concat().join("-") + ".1");
        let printed = analyze(&["man"]).args(&command).run().succeeded();
        assert_eq!(fs::read(&file).expect("a page"), printed.stdout, "{name}");
        let page = Program::new("groff")
            .args(["-man", "-ww", "-Kutf8", "-Tutf8", "-P-cbou", "-rLL=200n"])
            .arg(&file)
            .run()
            .succeeded();
        assert_eq!(page.errors(), "", "{name}");
        let text = page.text().replace('\u{2010}', "-");
        let help = analyze(&command).arg("--help").run().succeeded().text();
        for option in help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2) {
            let option = option.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            assert!(text.contains(option), "{name}: {option} is not in\n{text}");
        }
        for heading in ["NAME", "SYNOPSIS", "ENVIRONMENT", "SEE ALSO"] {
            assert!(text.contains(&format!("\n{heading}\n")), "{name}: no {heading} in\n{text}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), pages.count());
}

#[test]
fn misspelt_commands_and_options_are_told_what_was_meant() {
    for (words, meant) in [
        (&["chek", "x.bin"][..], "'check'"),
        (&["report", "--min-block", "1", "x.bin"], "'--min-blocks'"),
        (&["report", "--sort", "groth", "x.bin"], "'growth'"),
        (&["check", "--fail-on", "lost", "x.bin"], "definite"),
    ] {
        let outcome = analyze(words).run();
        assert_eq!(outcome.code(), 2, "{words:?}");
        assert!(outcome.errors().contains(meant), "{words:?}: {}", outcome.errors());
        assert_eq!(outcome.errors().lines().count(), 1, "{}", outcome.errors());
    }
}

#[test]
fn a_terminal_sees_what_takes_time_and_nothing_of_it_in_the_end() {
    if missing(&["script"]) {
        return;
    }
    let traced = Program::new(Fixture::c("deep.c").executable()).traced().succeeded();
    let on_terminal = |options: &str| {
        let line = format!(
            "'{}' {options} '{}' > /dev/null",
            artefacts::analyzer().display(),
            traced.file().display()
        );
        let script = Program::new("script").env("TERM", "xterm").args(["-qec", &line, "/dev/null"]);
        script.run().succeeded().text()
    };
    let shown = on_terminal("report");
    assert!(shown.contains("reading"), "{shown:?}");
    let last = shown.rsplit("\x1b[2K").next().expect("a last part");
    assert!(!last.contains("reading") && !last.contains("names"), "{shown:?}");
    assert_eq!(on_terminal("report --quiet"), "");
    let piped = analyze(&["report"]).arg(traced.file()).run().succeeded();
    assert_eq!(piped.errors(), "");
}
