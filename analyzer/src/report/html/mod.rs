//! The report for people with a browser: one file that needs nothing else, and loads nothing.
//!
//! The page is `assets/`: a template, a style, scripts, and uPlot for charts over time. The data is JSON in the page ([`data`]); scripts make
//! elements of it and set their text, so that nothing in it is ever read as HTML. The page's own policy allows these scripts and this style, by
//! their hashes, and nothing else: not even what a mistake of ours would let in could run, or reach a network.

mod data;
mod history;
mod paths;
mod source;
mod stacks;

use super::Report;
use super::text::Layout;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use data::Page;
use sha2::{Digest, Sha256};
use std::io;

const TEMPLATE: &str = include_str!("assets/page.html");
const STYLES: [&str; 2] = [include_str!("assets/uplot/uPlot.min.css"), include_str!("assets/page.css")];
const UPLOT: &str = include_str!("assets/uplot/uPlot.iife.min.js");
const UPLOT_LICENSE: &str = include_str!("assets/uplot/LICENSE");
/// In the order in which they use each other.
const SCRIPTS: [&str; 10] = [
    include_str!("assets/format.js"),
    include_str!("assets/dom.js"),
    include_str!("assets/model.js"),
    include_str!("assets/summary.js"),
    include_str!("assets/memory.js"),
    include_str!("assets/flame.js"),
    include_str!("assets/table.js"),
    include_str!("assets/compare.js"),
    include_str!("assets/details.js"),
    include_str!("assets/page.js"),
];

/// Writes the page.
pub(super) fn write(out: &mut dyn io::Write, reports: &[Report], layout: &Layout) -> io::Result<()> {
    let style = STYLES.concat();
    let library = format!("/*!\nuPlot, https://github.com/leeoniya/uPlot\n\n{UPLOT_LICENSE}\n*/\n{UPLOT}");
    let script = format!("(() => {{\n\"use strict\";\n{}}})();\n", SCRIPTS.concat());
    let policy = format!(
        "default-src 'none'; script-src {} {}; style-src {}; base-uri 'none'; form-action 'none'",
        hash(&library),
        hash(&script),
        hash(&style)
    );
    let data = serde_json::to_string(&Page::new(reports, layout))?;
    let data = for_script(&data);
    let parts = [
        ("{{policy}}", &*policy),
        ("{{style}}", &style),
        ("{{data}}", &data),
        ("{{library}}", &library),
        ("{{script}}", &script),
    ];
    // Each part stands in the template once, in this order; what parts hold is never looked at.
    let mut rest = TEMPLATE;
    for (mark, part) in parts {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        out.write_all(before.as_bytes())?;
        out.write_all(part.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// The source expression of an inline script or style (Content Security Policy Level 3, 2.3.1).
fn hash(content: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(content)))
}

/// JSON that cannot end the script element that it stands in, or begin a comment there (HTML, 13.2.5.18 and following): `<`, `>` and `&`
/// only ever stand in its strings. Line separators are for readers that take it for JavaScript.
fn for_script(json: &str) -> String {
    let mut safe = String::with_capacity(json.len() + json.len() / 16);
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                safe.push_str(&format!("\\u{:04x}", character as u32))
            }
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_leave_its_element_and_means_the_same() {
        let names =
            ["</script><script>alert(1)</script>", "<!--<script>", "]]>", "a\u{2028}b\u{2029}c", "&lt;"];
        let json = serde_json::to_string(&names).expect("JSON");
        let safe = for_script(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{safe}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).expect("JSON"), names);
    }

    #[test]
    fn no_script_or_style_ends_its_element() {
        for part in [STYLES.concat(), UPLOT.to_owned(), UPLOT_LICENSE.to_owned(), SCRIPTS.concat()] {
            assert!(!part.contains("</") && !part.contains("<!--"), "{}", &part[..60]);
        }
    }

    #[test]
    fn the_template_has_every_part_once_and_in_order() {
        let marks = ["{{policy}}", "{{style}}", "{{data}}", "{{library}}", "{{script}}"];
        let places: Vec<usize> = marks.iter().map(|mark| TEMPLATE.find(mark).expect(mark)).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(marks.iter().all(|mark| TEMPLATE.matches(mark).count() == 1));
    }
}
