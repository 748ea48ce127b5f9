//! An HTML report about traces.

use crate::{Browser, Program, Scratch, artefacts};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// A page about traces, in a folder of its own.
pub struct HtmlPage {
    folder: Scratch,
}

impl HtmlPage {
    /// The page of these traces.
    #[track_caller]
    pub fn of(traces: &[PathBuf]) -> HtmlPage {
        HtmlPage::with(&[], traces)
    }

    /// The same with options.
    #[track_caller]
    pub fn with(options: &[&str], traces: &[PathBuf]) -> HtmlPage {
        let page = HtmlPage { folder: Scratch::new() };
        let report =
            Program::new(artefacts::analyzer()).arg("report").args(options).arg("-o").arg(page.path());
        let done = report.args(traces).run().succeeded();
        assert_eq!((done.text(), done.errors()), (String::new(), String::new()));
        page
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.join("leaks.html")
    }

    /// All of it.
    pub fn text(&self) -> String {
        fs::read_to_string(self.path()).expect("a page")
    }

    /// What scripts get to see.
    pub fn data(&self) -> Value {
        let text = self.text();
        let (_, data) = text.split_once("<script type=\"application/json\" id=\"data\">").expect("data");
        let (data, _) = data.split_once("</script>").expect("an end");
        serde_json::from_str(data).expect("JSON")
    }

    /// Opened in a window of this width; no script complains.
    #[track_caller]
    pub fn open(&self, width: u32) -> Browser {
        let mut browser = Browser::new(width);
        browser.open(&self.path());
        assert_eq!(browser.complaints(), [""; 0]);
        browser
    }
}
