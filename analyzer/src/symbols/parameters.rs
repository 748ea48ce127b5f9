//! Names of functions without what tells overloads apart.

/// A C++ name without its parameter list and what follows it. Names that do not end in one stay whole, as do the
/// parentheses of `operator()`, `(anonymous namespace)` and lambdas.
pub fn without_parameters(name: &str) -> &str {
    let name = name.split(" [clone ").next().unwrap_or(name);
    let body = name.trim_end_matches(" const").trim_end_matches(" &&").trim_end_matches(" &");
    let Some(stripped) = body.strip_suffix(')') else { return name };
    let mut depth = 1;
    for (at, character) in stripped.char_indices().rev() {
        match character {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let before = &body[..at];
            let is_name = !before.is_empty() && !before.ends_with("operator") && !before.ends_with("::");
            return if is_name { without_return_type(before) } else { name };
        }
    }
    name
}

/// A C++ name without the type that templates' names begin with (`void f<int>`). Operators have spaces in their names.
fn without_return_type(name: &str) -> &str {
    let operator = name
        .match_indices("operator")
        .find(|(at, _)| matches!(name[..*at].chars().last(), None | Some(':' | ' ')));
    let mut depth = 0usize;
    let mut start = 0;
    for (at, character) in name[..operator.map_or(name.len(), |(at, _)| at)].char_indices() {
        match character {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    &name[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_and_names_stay() {
        for (full, short) in [
            ("Session::create(int, std::string const&)", "Session::create"),
            ("Cache::put(Key) const", "Cache::put"),
            ("(anonymous namespace)::make(int)", "(anonymous namespace)::make"),
            ("Fn::operator()(int) const", "Fn::operator()"),
            ("main::{lambda(int)#1}::operator()(int) const", "main::{lambda(int)#1}::operator()"),
            ("f(void (*)(int))", "f"),
            ("void std::_Construct<int, A<B> const&>(int*)", "std::_Construct<int, A<B> const&>"),
            ("std::map<int, int>* (anonymous namespace)::make<int>(int)", "(anonymous namespace)::make<int>"),
            ("bool std::operator< <char>(char const*)", "std::operator< <char>"),
            ("Text::operator unsigned long() const", "Text::operator unsigned long"),
            ("operator new(unsigned long)", "operator new"),
            ("make(int) [clone .part.0]", "make"),
            ("app::run", "app::run"),
            ("<app::Thing as app::Trait>::run", "<app::Thing as app::Trait>::run"),
            ("Fn::operator()", "Fn::operator()"),
            ("(anonymous namespace)", "(anonymous namespace)"),
            (")", ")"),
        ] {
            assert_eq!(without_parameters(full), short);
        }
    }
}
