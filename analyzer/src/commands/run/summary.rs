//! The report of a run: the program's own and those that lose memory in full, a line for others with something outstanding.

use super::Options;
use super::aftermath::{Other, Traces};
use super::processes::processes;
use super::recording::Recording;
use crate::commands::failure::{Failure, complain};
use crate::commands::judging::{DEFAULT, Judged};
use crate::commands::load;
use crate::commands::options::Reporting;
use crate::commands::output::{Content, Outputs, write_file};
use crate::commands::progress::Progress;
use crate::commands::report::found;
use crate::gate::{Gate, Judgement, Outcome, write_json, write_text};
use crate::report::{Format, Layout, Report};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Programs besides the program's own that are reported in full.
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
        if traces.program.is_none() && traces.others.is_empty() && traces.left_out > 0 {
            complain("no process was of an executable that is asked for");
            self.clean_up(&[], &traces);
            return Ok(Outcome::Undecided);
        }
        if traces.program.is_none() && traces.others.is_empty() {
            complain(match self.options.recording.only {
                Some(_) => {
                    "no trace was written: perhaps no executable is called as --only says (LIBLEAK_LOG=debug may say why)"
                }
                None => "no trace was written: the program was not recorded (LIBLEAK_LOG=debug may say why)",
            });
            self.recording.discard();
            return Ok(Outcome::Undecided);
        }
        let kept_trace = self.keep_trace(&traces);
        let is_asked = self.options.reporting.view.asks_for_fingerprint();
        let (mut reports, listed) = self.reports(&traces, kept_trace, gate.is_some(), is_asked)?;
        let is_found = gate.is_none() && is_asked && found(&reports);
        let is_written = match &gate {
            None => self.write_reports(&reports, &traces, listed),
            Some(_) => self.write_files(&reports),
        };
        let judged = match gate {
            None => self.judge_unasked(&mut reports, &traces).map(|()| Outcome::Passed),
            Some(gate) => self.judge(gate, &mut reports, &traces),
        };
        self.clean_up(&reports, &traces);
        is_written?;
        if is_found { Ok(Outcome::Failed) } else { judged }
    }

    /// What the gate says of every process, which is written where the report would be.
    fn judge(&self, mut gate: Gate, reports: &mut [Report], traces: &Traces) -> Result<Outcome, Failure> {
        gate.program = Some(traces.executable.clone());
        self.options.gate.maintain(&mut gate, reports, traces.left_out == 0)?;
        let judgements = gate.judge_all(reports);
        let mut outcome = Outcome::of(&judgements);
        for (report, judgement) in reports.iter_mut().zip(&judgements) {
            let is_good = judgement.outcome() == Outcome::Passed;
            report.is_kept &= !self.recording.is_temporary || self.is_copied(report) || !is_good;
        }
        if self.recording.is_full() {
            complain(
                "the folder holds as many traces as LIBLEAK_MAX_FILES allows: processes may not have been recorded",
            );
            outcome = outcome.max(Outcome::Undecided);
        }
        let reports = &*reports;
        let is_told = outcome != Outcome::Passed || !self.layout().quiet;
        let stream = self.outputs.stream.unwrap_or(Content::Report(Format::Text));
        self.tell(reports, &judgements, Some(stream).filter(|_| is_told))?;
        self.beside_traces(traces, "txt", |out, layout| write_text(out, reports, &judgements, layout))?;
        self.beside_traces(traces, "json", |out, _| write_json(out, reports, &judgements))?;
        Ok(outcome)
    }

    /// What the default rules say, where files or the stream are to tell that and nobody asked for a gate.
    fn judge_unasked(&self, reports: &mut [Report], traces: &Traces) -> Result<(), Failure> {
        if !self.outputs.has_judgements() {
            return Ok(());
        }
        let program = Some(traces.executable.clone());
        let gate = Gate { rules: DEFAULT.to_vec(), program, ..Gate::default() };
        let judgements = gate.judge_all(reports);
        self.tell(reports, &judgements, self.outputs.stream.filter(|content| content.gate().is_some()))
    }

    /// Writes what a gate says into the files that are for it, and to stderr.
    fn tell(
        &self,
        reports: &[Report],
        judgements: &[Judgement],
        stream: Option<Content>,
    ) -> Result<(), Failure> {
        let (layout, behaviour) = (self.layout(), &self.options.reporting.behaviour);
        let judged = Judged { outputs: self.outputs, reports, judgements };
        let is_its = |content: Content| content.gate().is_some();
        self.outputs.write_files(is_its, &layout, behaviour, |out, content, layout| {
            judged.write(out, content, layout)
        })?;
        if let Some(content) = stream {
            self.to_stderr(|out, layout| judged.write(out, content, layout))?;
        }
        judged.summarize(&layout)
    }

    /// Reports in full, and how many of the others are among them: all if a format for programs is written, else the program's
    /// own and the first that lose memory, or, if that was not recorded, the first that have something outstanding. For a gate all of all.
    fn reports(
        &self,
        traces: &Traces,
        kept_trace: Option<&Path>,
        is_gated: bool,
        is_asked: bool,
    ) -> Result<(Vec<Report>, usize), Failure> {
        let everything = is_gated || is_asked || !self.outputs.is_text();
        let program = traces.program.as_ref().filter(|_| everything || !traces.is_beside_the_point());
        let listed = match program {
            _ if everything => traces.others.len(),
            Some(_) => traces.lossy_programs.min(MAX_REPORTS),
            None if traces.lossy_programs > 0 => traces.lossy_programs.min(MAX_REPORTS),
            None => traces.others.len().min(MAX_REPORTS),
        };
        let Reporting { view, symbols, .. } = &self.options.reporting;
        let mut selection = self.outputs.selection(view);
        if is_gated {
            selection = view.selection(true).all_of_them();
            selection.filter.suppressed = self.outputs.has_suppressed();
            // What has nothing outstanding is no finding.
            selection.filter.all |= self.outputs.has_page();
        }
        let paths = program.into_iter().chain(traces.others[..listed].iter().map(|other| &other.path));
        let paths: Vec<&PathBuf> = paths.collect();
        let (span, symbolizer) = (view.span()?, symbols.symbolizer(self.progress));
        let read = |path: &&PathBuf| {
            let trace = load::trace(path, &span, self.progress)?;
            let mut report = load::report(trace, &selection, view, &symbolizer, self.progress);
            report.is_kept = !self.recording.is_temporary || report.has_findings();
            if let Some(kept) = kept_trace.filter(|_| traces.program.as_ref() == Some(*path)) {
                report.trace.path = kept.to_owned();
                report.is_kept = true;
            }
            report.next = self.next(&report);
            Ok(report)
        };
        let reports: Result<Vec<Report>, Failure> =
            load::each(&paths, self.progress, read).into_iter().collect();
        let mut reports = reports?;
        if is_asked && !is_gated && found(&reports) {
            reports.retain(|report| found(std::slice::from_ref(report)));
        }
        Ok((reports, listed))
    }

    fn write_reports(&self, reports: &[Report], traces: &Traces, listed: usize) -> Result<(), Failure> {
        let others = &traces.others[listed..];
        self.write_files(reports)?;
        let write_text = |out: &mut dyn Write, layout: &Layout| {
            Format::Text.write(out, reports, layout)?;
            processes(out, reports, others)
        };
        self.beside_traces(traces, "txt", write_text)?;
        let Some(content) = self.outputs.stream.filter(|content| content.gate().is_none()) else {
            return Ok(());
        };
        let is_clean = !reports.iter().any(Report::has_findings) && !others.iter().any(Other::is_wanted);
        if self.options.reporting.behaviour.quiet && is_clean {
            return Ok(());
        }
        self.to_stderr(|out, layout| {
            if content != Content::Report(Format::Text) {
                return self.outputs.write(content, out, reports, layout);
            }
            writeln!(out)?;
            write_text(out, layout)
        })
    }

    /// Writes to where the report goes: stdout belongs to the program.
    fn to_stderr(
        &self,
        write: impl FnOnce(&mut dyn Write, &Layout) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = BufWriter::new(io::stderr().lock());
        write(&mut out, &self.layout())?;
        out.flush()?;
        Ok(())
    }

    /// Writes a file beside the traces that are kept, named like the program's.
    fn beside_traces(
        &self,
        traces: &Traces,
        extension: &str,
        write: impl FnOnce(&mut dyn Write, &Layout) -> io::Result<()>,
    ) -> Result<(), Failure> {
        if self.recording.is_temporary {
            return Ok(());
        }
        let behaviour = &self.options.reporting.behaviour;
        let layout = Layout { color: behaviour.color_in_files(), ..self.layout() };
        let unnamed = || self.recording.folder.join(format!("libleak{}", self.recording.ending));
        let path = traces.program.clone().unwrap_or_else(unnamed);
        write_file(&path.with_extension(extension), |out| write(out, &layout))
    }

    /// Whether the report is on a copy of the trace, which its user asked for (`-o FILE.bin`).
    fn is_copied(&self, report: &Report) -> bool {
        self.outputs.traces.contains(&report.trace.path)
    }

    fn layout(&self) -> Layout {
        let behaviour = &self.options.reporting.behaviour;
        self.options.reporting.view.layout(behaviour.color(&io::stderr()), behaviour.quiet)
    }

    fn write_files(&self, reports: &[Report]) -> Result<(), Failure> {
        let behaviour = &self.options.reporting.behaviour;
        let is_ours = |content: Content| content.gate().is_none();
        self.outputs.write_files(is_ours, &self.layout(), behaviour, |out, content, layout| {
            self.outputs.write(content, out, reports, layout)
        })
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
        for path in self.recording.traces().iter().filter(|path| !is_named(path)) {
            // A file that cannot be removed lies in a folder for temporary files.
            _ = fs::remove_file(path);
        }
        self.recording.discard();
    }
}
