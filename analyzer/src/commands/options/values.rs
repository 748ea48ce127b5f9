//! Sizes, times and ages, as options have them.

use crate::trace::Moment;

/// Bytes with a suffix: `512`, `64K`, `8M`, `1G`.
pub(in crate::commands) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => Some(1),
        "K" | "KB" | "KIB" => Some(1 << 10),
        "M" | "MB" | "MIB" => Some(1 << 20),
        "G" | "GB" | "GIB" => Some(1 << 30),
        _ => None,
    };
    let bytes =
        digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    bytes.ok_or_else(|| "a size is a whole number, with K, M or G (powers of 1024)".to_owned())
}

/// A time, or a marker: any name that does not begin like a number, or stands after `marker:`.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    match text.strip_prefix("marker:") {
        Some(name) => Ok(Moment::Marker(name.to_owned())),
        None if text.starts_with(|c: char| c.is_alphabetic()) => Ok(Moment::Marker(text.to_owned())),
        None => time(text).map(Moment::Seconds),
    }
}

/// Seconds before the end.
pub(super) fn age(text: &str) -> Result<f64, String> {
    time(text).map_err(|_| "an age is a number of seconds, or one with ms, s, m, h or d".to_owned())
}

/// Seconds, with a suffix or without: `90`, `1.5s`, `5m`, `1h`, `2d`.
pub(in crate::commands) fn time(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[number.len()..] {
        "" | "s" => Some(1.0),
        "ms" => Some(0.001),
        "m" | "min" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86400.0),
        _ => None,
    };
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let seconds = number.zip(factor).map(|(number, factor)| number * factor);
    seconds.ok_or_else(|| {
        "a time is seconds since the start, or a number with ms, s, m, h or d; or the name of a marker"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{moment, size, time};
    use crate::trace::Moment;

    #[test]
    fn what_does_not_begin_like_a_number_is_a_marker() {
        assert_eq!(moment("90s"), Ok(Moment::Seconds(90.0)));
        assert_eq!(moment("warm"), Ok(Moment::Marker("warm".into())));
        assert_eq!(moment("marker:2nd"), Ok(Moment::Marker("2nd".into())));
        assert!(moment("2nd").is_err() && moment("-1").is_err());
    }

    #[test]
    fn times_take_suffixes() {
        assert_eq!(
            ["0", "1.5", "250ms", "90s", "5m", "2min", "1h", "2d"].map(|text| time(text).unwrap()),
            [0.0, 1.5, 0.25, 90.0, 300.0, 120.0, 3600.0, 172_800.0]
        );
        for wrong in ["", "m", "-1", "1w", "inf", "NaN", "1e400", "5 m"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_take_suffixes() {
        assert_eq!(
            ["0", "512", "64K", "8m", "1GiB"].map(|text| size(text).unwrap()),
            [0, 512, 65536, 8 << 20, 1 << 30]
        );
        for wrong in ["", "K", "-1", "1.5M", "1T2", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
