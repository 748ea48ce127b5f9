//! leak-analyze; see the library of the same name.

fn main() -> std::process::ExitCode {
    leak_analyze::commands::main()
}
