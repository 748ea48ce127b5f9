//! Verdicts in words, and what growth means for a memory limit.

use super::Report;
use super::human::{count, counted, duration, size, size_range};
use crate::analysis::{Evidence, Growth, Rate, Verdict};

/// `7.55 MiB/h (7.30–7.80)`
fn rate(rate: &Rate) -> String {
    let bytes = rate.bytes_per_hour as u64;
    format!("{}/h ({})", size(bytes), size_range(bytes, rate.low as u64, rate.high as u64))
}

/// The evidence, a sentence without a final stop.
pub(super) fn evidence(growth: &Growth) -> String {
    match growth.evidence {
        Evidence::Survivors { survivors, since, age, freed } => {
            let all = format!(
                "{} older than {}, born all along since {}",
                counted(survivors, "block"),
                duration(age),
                duration(since)
            );
            if freed {
                format!("{all}; next to none of that age was freed")
            } else {
                format!("{all}; none was ever freed here")
            }
        }
        Evidence::Lost { blocks, since, freed } => {
            let all = format!(
                "nothing points to {}, born all along since {}",
                counted(blocks, "block"),
                duration(since)
            );
            if freed { all } else { format!("{all}; none was ever freed here") }
        }
        Evidence::Rise { from, to, since, few } => {
            let how = if few { ": few blocks, ever larger" } else { "" };
            format!(
                "it held {} at {}, {} at the end, and rose in between{how}",
                size(from),
                duration(since),
                size(to)
            )
        }
        Evidence::Slower { ratio } => format!(
            "the later half of the run after start-up kept {} % of what the earlier half did",
            count((ratio * 100.0).round() as u64)
        ),
        Evidence::Level { from, to } => {
            format!("it held {} after start-up and {} at the end", size(from), size(to))
        }
        Evidence::StartUp { last } => format!("nothing outstanding is newer than {}", duration(last)),
        Evidence::TooShort => "the run is shorter than a second".to_owned(),
        Evidence::TooFew { blocks } => {
            format!("{} from after start-up are too few", counted(blocks, "block"))
        }
        Evidence::NotEnoughSamples { samples } => format!("not enough samples ({samples})"),
        Evidence::Unclear => "what it holds goes up and down, and blocks of all ages are freed".to_owned(),
    }
}

/// A verdict that people should see: `LEAK 7.55 MiB/h (7.30–7.80): 3,620 blocks …`
pub(super) fn line(growth: &Growth) -> Option<String> {
    let word = match growth.verdict {
        Verdict::Leak => "LEAK",
        Verdict::Growing => "GROWING",
        Verdict::Warming => "warming up",
        Verdict::Stable | Verdict::Inconclusive => return None,
    };
    let rate = growth.rate.as_ref().map(|known| format!(" {}", rate(known))).unwrap_or_default();
    Some(format!("{word}{rate}: {}", evidence(growth)))
}

/// What all of it comes to: `2 leaks lose 7.75 MiB/h; 1 stack grows by 10.3 MiB/h; the limit of 512 MiB is reached in about 26 h`
pub(super) fn summary(report: &Report) -> Option<String> {
    let summary = &report.growth;
    let part = |count: usize, noun, verbs: [&str; 2], rate: f64| {
        let verb = verbs[usize::from(count != 1)];
        (count > 0).then(|| format!("{} {verb} {}/h", counted(count as u64, noun), size(rate as u64)))
    };
    let mut parts: Vec<String> = [
        part(summary.leaks, "leak", ["loses", "lose"], summary.leak_rate),
        part(summary.growing, "stack", ["grows by", "grow by"], summary.growing_rate),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some((limit, seconds)) = report.time_to_limit() {
        parts.push(format!("{} are used up in about {}", size(limit), duration(seconds)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
