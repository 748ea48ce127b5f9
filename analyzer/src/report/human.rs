//! Numbers as people read them.

/// A count with thousands separators: `31,495`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what it counts: `1 block`, `31,495 blocks`, `2 processes`.
pub fn counted(number: u64, singular: &str) -> String {
    let plural = if singular.ends_with('s') { "es" } else { "s" };
    format!("{} {singular}{}", count(number), if number == 1 { "" } else { plural })
}

/// Bytes in powers of 1024 with three digits: `184 B`, `1.52 MiB`.
pub fn size(bytes: u64) -> String {
    let (name, unit) = unit(bytes);
    format!("{} {name}", in_units(bytes, unit))
}

/// From one size to another, in the unit that `bytes` are shown in: `1.31–1.76`.
pub fn size_range(bytes: u64, low: u64, high: u64) -> String {
    let (_, unit) = unit(bytes);
    format!("{}–{}", in_units(low, unit), in_units(high, unit))
}

/// The unit that a size is shown in: its name and its bytes.
fn unit(bytes: u64) -> (&'static str, f64) {
    const NAMES: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1000 {
        return ("B", 1.0);
    }
    let mut unit = 1024.0;
    let mut name = 0;
    // Beyond 999.5 rounding would give four digits.
    while bytes as f64 / unit >= 999.5 && name + 1 < NAMES.len() {
        unit *= 1024.0;
        name += 1;
    }
    (NAMES[name], unit)
}

fn in_units(bytes: u64, unit: f64) -> String {
    if unit == 1.0 { count(bytes) } else { three_digits(bytes as f64 / unit) }
}

/// Seconds in two units at most: `0.34 s`, `12 min 4 s`, `3 d 2 h`.
pub fn duration(seconds: f64) -> String {
    let whole = |value: f64| value as u64;
    match seconds {
        s if s < 0.000_999_5 => format!("{} µs", three_digits(s * 1e6)),
        s if s < 0.999_5 => format!("{} ms", three_digits(s * 1e3)),
        s if s < 59.95 => format!("{} s", three_digits(s)),
        s if s < 3600.0 => format!("{} min {} s", whole(s) / 60, whole(s) % 60),
        s if s < 86400.0 => format!("{} h {} min", whole(s) / 3600, whole(s) / 60 % 60),
        s => format!("{} d {} h", count(whole(s) / 86400), whole(s) / 3600 % 24),
    }
}

/// A share of a whole: `33 %`; `<1 %` of what is not nothing.
pub fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    if percent < 0.5 { "<1 %".to_owned() } else { format!("{percent:.0} %") }
}

fn three_digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        assert_eq!(
            [0, 999, 1000, 31_495, 1_234_567].map(count),
            ["0", "999", "1,000", "31,495", "1,234,567"]
        );
        assert_eq!(counted(1, "block"), "1 block");
        assert_eq!(counted(2000, "block"), "2,000 blocks");
    }

    #[test]
    fn sizes_have_three_digits_whatever_their_magnitude() {
        let sizes = [0, 184, 999, 1000, 1024, 708_096, 1_048_575, 1_593_835, u64::MAX].map(size);
        let expected =
            ["0 B", "184 B", "999 B", "0.98 KiB", "1.00 KiB", "692 KiB", "1.00 MiB", "1.52 MiB", "16.0 EiB"];
        assert_eq!(sizes, expected);
    }

    #[test]
    fn a_range_has_the_unit_of_what_it_is_about() {
        assert_eq!(size_range(1_593_835, 1_373_634, 1_845_494), "1.31–1.76");
        assert_eq!(size_range(500, 20, 1800), "20–1,800");
        assert_eq!(size_range(1000 << 10, 800 << 10, 2 << 20), "0.78–2.00");
    }

    #[test]
    fn durations_have_the_units_that_fit() {
        let found = [0.0000005, 0.34, 12.0, 59.99, 724.2, 11_600.0, 262_000.0].map(duration);
        let expected = ["0.50 µs", "340 ms", "12.0 s", "0 min 59 s", "12 min 4 s", "3 h 13 min", "3 d 0 h"];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_small_share_is_not_nothing() {
        assert_eq!([share(0, 5), share(1, 1000), share(1, 3), share(7, 7)], ["0 %", "<1 %", "33 %", "100 %"]);
    }
}
