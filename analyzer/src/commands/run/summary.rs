//! The report of a run: the program's own in full, one line for each child with something outstanding.

use super::Options;
use super::aftermath::{Other, Traces};
use super::recording::Recording;
use crate::commands::failure::{Failure, complain};
use crate::commands::load;
use crate::commands::options::Reporting;
use crate::commands::output::{Content, Outputs};
use crate::commands::progress::Progress;
use crate::gate::{Gate, Judgement, Outcome, write_json, write_text};
use crate::report::{Format, Layout, Report, counted, escape, size};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Children that get a line at most.
const MAX_LINES: usize = 20;
/// Children that are reported in full if the program itself was not recorded.
const MAX_REPORTS: usize = 3;

/// Everything that the report of a run is made of.
pub(super) struct Summary<'a> {
    pub(super) options: &'a Options,
    pub(super) outputs: &'a Outputs,
    pub(super) recording: &'a Recording,
    pub(super) progress: &'a Progress,
}

impl Summary<'_> {
    /// Writes the report, or what the gate says, keeps what was asked for, and removes the rest. What the gate says.
    pub(super) fn write(&self, traces: Traces, gate: Option<Gate>) -> Result<Outcome, Failure> {
        if traces.program.is_none() && traces.others.is_empty() {
            complain("no trace was written: the program was not recorded (LIBLEAK_LOG=debug may say why)");
            self.recording.discard();
            return Ok(Outcome::Undecided);
        }
        let kept_trace = self.keep_trace(&traces);
        let (mut reports, listed) = self.reports(&traces, kept_trace, gate.is_some())?;
        let is_written = match &gate {
            None => self.write_reports(&reports, &traces.others[listed..]),
            Some(_) => self.write_files(&reports),
        };
        let judged = match gate {
            None => Ok(Outcome::Passed),
            Some(gate) => self.judge(gate, &mut reports),
        };
        self.clean_up(&reports, &traces);
        is_written?;
        judged
    }

    /// What the gate says of every process, which is written where the report would be.
    fn judge(&self, mut gate: Gate, reports: &mut [Report]) -> Result<Outcome, Failure> {
        self.options.gate.maintain(&mut gate, reports, true)?;
        let judgements: Vec<Judgement> = reports.iter_mut().map(|report| gate.judge(report)).collect();
        let outcome = judgements.iter().map(Judgement::outcome).max().unwrap_or(Outcome::Undecided);
        let layout = self.layout();
        if outcome != Outcome::Passed || !layout.quiet {
            let mut out = BufWriter::new(io::stderr().lock());
            match self.outputs.stream {
                Some(Content::Report(Format::Json)) => write_json(&mut out, reports, &judgements)?,
                _ => write_text(&mut out, reports, &judgements, &layout)?,
            }
            out.flush()?;
        }
        Ok(outcome)
    }

    /// Reports in full, and how many of the others are among them: all if a format for programs is written, else only
    /// the program's own, or, if that was not recorded, the first that have something outstanding. For a gate all of all.
    fn reports(
        &self,
        traces: &Traces,
        kept_trace: Option<&Path>,
        is_gated: bool,
    ) -> Result<(Vec<Report>, usize), Failure> {
        let everything = is_gated || !self.outputs.is_text();
        let listed = match (&traces.program, everything) {
            (_, true) => traces.others.len(),
            (Some(_), false) => 0,
            (None, false) => traces.others.len().min(MAX_REPORTS),
        };
        let Reporting { view, symbols, .. } = &self.options.reporting;
        let mut selection =
            if is_gated { view.selection(true).all_of_them() } else { self.outputs.selection(view) };
        // What has nothing outstanding is no finding.
        selection.filter.all |= is_gated && self.outputs.has_page();
        let paths = traces.program.iter().chain(traces.others[..listed].iter().map(|other| &other.path));
        let mut reports = Vec::new();
        for path in paths {
            let trace = load::trace(path, &view.span()?, self.progress)?;
            let mut report = load::report(trace, &selection, view, symbols, self.progress);
            report.is_kept = !self.recording.is_temporary || report.has_findings();
            if let Some(kept) = kept_trace.filter(|_| traces.program.as_ref() == Some(path)) {
                report.trace.path = kept.to_owned();
                report.is_kept = true;
            }
            report.next = self.next(&report);
            reports.push(report);
        }
        Ok((reports, listed))
    }

    fn write_reports(&self, reports: &[Report], others: &[Other]) -> Result<(), Failure> {
        let behaviour = &self.options.reporting.behaviour;
        let layout = self.layout();
        self.write_files(reports)?;
        let Some(content) = self.outputs.stream else { return Ok(()) };
        let is_clean = !reports.iter().any(Report::has_findings) && !others.iter().any(Other::is_wanted);
        if behaviour.quiet && is_clean {
            return Ok(());
        }
        let mut out = BufWriter::new(io::stderr().lock());
        self.write_stream(&mut out, content, reports, others, &layout)?;
        out.flush()?;
        Ok(())
    }

    fn layout(&self) -> Layout {
        let behaviour = &self.options.reporting.behaviour;
        self.options.reporting.view.layout(behaviour.color(&io::stderr()), behaviour.quiet)
    }

    fn write_files(&self, reports: &[Report]) -> Result<(), Failure> {
        let behaviour = &self.options.reporting.behaviour;
        self.outputs.write_files(&self.layout(), behaviour, |out, content, layout| {
            self.outputs.write(content, out, reports, layout)
        })
    }

    fn write_stream(
        &self,
        out: &mut dyn Write,
        content: Content,
        reports: &[Report],
        others: &[Other],
        layout: &Layout,
    ) -> io::Result<()> {
        let is_text = content == Content::Report(Format::Text);
        if is_text {
            writeln!(out)?;
        }
        self.outputs.write(content, out, reports, layout)?;
        if is_text { children(out, others) } else { Ok(()) }
    }

    fn next(&self, report: &Report) -> Vec<String> {
        let mut next = Vec::new();
        if report.is_kept && report.selected.more > 0 {
            let path = report.trace.path.to_string_lossy();
            next.push(format!(
                "leak-analyze {} --top {}",
                shell_words::quote(&path),
                report.selected.stacks.len() * 4
            ));
        }
        let words: Vec<_> = self.options.program.iter().map(|word| word.to_string_lossy()).collect();
        let program = shell_words::join(words);
        if program.chars().count() <= 60 {
            next.push(format!("leak-analyze run -o leaks.html -- {program}"));
        }
        next
    }

    /// Copies the program's trace to where `-o FILE.bin` wants it; the first such place.
    fn keep_trace(&self, traces: &Traces) -> Option<&Path> {
        let mut kept = None;
        for to in &self.outputs.traces {
            let copied = match &traces.program {
                None => Err("the program itself was not recorded".to_owned()),
                Some(from) => fs::copy(from, to).map_err(|error| error.to_string()),
            };
            match copied {
                Ok(_) => kept = kept.or(Some(to.as_path())),
                Err(why) => complain(&format!("{}: cannot be written: {why}", to.display())),
            }
        }
        kept
    }

    /// Removes temporary traces that nobody was told about.
    fn clean_up(&self, reports: &[Report], traces: &Traces) {
        if !self.recording.is_temporary {
            return;
        }
        let is_named = |path: &Path| {
            reports.iter().any(|report| report.is_kept && report.trace.path == path)
                || traces.others.iter().any(|other| other.is_wanted() && other.path == path)
        };
        for path in self.recording.new_files().iter().filter(|path| !is_named(path)) {
            // A file that cannot be removed lies in a folder for temporary files.
            _ = fs::remove_file(path);
        }
        self.recording.discard();
    }
}

/// One line for each process that left something, one for all others.
fn children(out: &mut dyn Write, others: &[Other]) -> io::Result<()> {
    if others.is_empty() {
        return Ok(());
    }
    let (wanted, clean): (Vec<&Other>, Vec<&Other>) = others.iter().partition(|other| other.is_wanted());
    let processes = if others.len() == 1 { "process was" } else { "processes were" };
    let (all, left) = (others.len(), wanted.len());
    let wrong = if others.iter().any(|other| other.wrong_frees > 0) { " or wrong frees" } else { "" };
    writeln!(out, "\n{all} other {processes} recorded, {left} with memory outstanding{wrong}")?;
    for other in wanted.iter().take(MAX_LINES) {
        let tilde = if other.is_sampled { "~" } else { "" };
        let (bytes, blocks) = (size(other.live_bytes), counted(other.live_blocks, "block"));
        let what = format!("{tilde}{bytes} in {tilde}{blocks}");
        let command: String = other.command.chars().take(40).collect();
        writeln!(out, "  {what:<28} {} (pid {})", escape(&command), other.pid)?;
        if other.wrong_frees > 0 {
            writeln!(out, "    {}", counted(other.wrong_frees, "wrong free"))?;
        }
        writeln!(out, "    {}", escape(&other.path.to_string_lossy()))?;
    }
    if let Some(more) = wanted.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
        writeln!(out, "  and {more} more")?;
    }
    if !clean.is_empty() && !wanted.is_empty() {
        writeln!(out, "  {} returned everything", counted(clean.len() as u64, "other"))?;
    }
    Ok(())
}
