//! Judgements for people: of what fails the report, once for each finding, a line for each process, and what all of it comes to.

use super::programs::{Program, programs, same};
use super::{Judgement, Outcome};
use crate::analysis::{Fingerprint, Rule};
use crate::report::{Layout, Report, Text, WIDTH, command, counted, escape, size, start_of, wrap};
use std::collections::HashSet;
use std::io;

/// Processes of one program that get a line each; more of them share one.
const FEW: usize = 5;
/// Characters of a command in a line.
const COMMAND: usize = 80;
/// Findings of all processes that are listed.
const MOST: usize = 50;

/// Writes what a gate says of reports; nothing of those that pass if it is to be quiet.
///
/// # Errors
///
/// Those of `out`.
pub fn write(
    out: &mut dyn io::Write,
    reports: &[Report],
    judgements: &[Judgement],
    layout: &Layout,
) -> io::Result<()> {
    let all = All { reports, judgements, layout };
    let programs = programs(reports);
    let failed = of(&programs, judgements, Outcome::Failed);
    for program in &failed {
        all.failed(program, out)?;
    }
    if !layout.quiet {
        all.spared(&programs, out)?;
    }
    for outcome in [Outcome::Undecided, Outcome::Passed] {
        for program in of(&programs, judgements, outcome) {
            if outcome != Outcome::Passed || !layout.quiet {
                all.others(&program, outcome, out)?;
            }
        }
    }
    let count = |outcome| judgements.iter().filter(|judgement| judgement.outcome() == outcome).count();
    let [passed, undecided, failed] = [Outcome::Passed, Outcome::Undecided, Outcome::Failed].map(count);
    if judgements.len() > 1 && !(layout.quiet && failed + undecided == 0) {
        all.sums(out)?;
        writeln!(out, "{passed} passed, {failed} failed, {undecided} undecided")?;
    }
    Ok(())
}

/// Those of the programs' processes of which the gate says this.
fn of<'a>(programs: &[Program<'a>], judgements: &[Judgement], outcome: Outcome) -> Vec<Program<'a>> {
    let of_it = |program: &Program<'a>| Program {
        executable: program.executable,
        processes: program
            .processes
            .iter()
            .copied()
            .filter(|process| judgements[*process].outcome() == outcome && !judgements[*process].is_spared)
            .collect(),
    };
    programs.iter().map(of_it).filter(|program| !program.processes.is_empty()).collect()
}

/// Everything that is judged.
struct All<'a> {
    reports: &'a [Report],
    judgements: &'a [Judgement],
    layout: &'a Layout,
}

impl All<'_> {
    /// The processes of a program that fail: reports until every finding was told, a line for each of the others.
    fn failed(&self, program: &Program<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        let mut told: HashSet<Fingerprint> = HashSet::new();
        let mut as_above = Vec::new();
        for &process in &program.processes {
            let (report, judgement) = (&self.reports[process], &self.judgements[process]);
            if judgement.failed.iter().all(|failed| told.contains(&failed.fingerprint)) {
                as_above.push(process);
                continue;
            }
            writeln!(out, "FAILED {}: {}\n", command(&report.trace.process), counts(judgement))?;
            Text::new(report, self.layout).without(&told).write(out)?;
            writeln!(out)?;
            told.extend(judgement.failed.iter().map(|failed| failed.fingerprint));
        }
        if as_above.len() > FEW {
            let processes = counted(as_above.len() as u64, "more process");
            return writeln!(out, "FAILED {processes} of {}: as above\n", program.name());
        }
        for &process in &as_above {
            writeln!(out, "FAILED {}: {}, as above", self.who(process), counts(&self.judgements[process]))?;
        }
        if as_above.is_empty() { Ok(()) } else { writeln!(out) }
    }

    /// The processes of a program that do not fail.
    fn others(&self, program: &Program<'_>, outcome: Outcome, out: &mut dyn io::Write) -> io::Result<()> {
        let verdict = if outcome == Outcome::Undecided { "UNDECIDED" } else { "passed" };
        let mut left = program.processes.clone();
        // Those of which the same is to be said.
        while let Some(&first) = left.first() {
            let what = self.what(first);
            let (alike, rest): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|process| self.what(*process) == what);
            left = rest;
            if alike.len() > FEW {
                let processes = counted(alike.len() as u64, "process");
                writeln!(out, "{verdict} {processes} of {}{what}", program.name())?;
                continue;
            }
            for process in alike {
                writeln!(out, "{verdict} {}{what}", self.who(process))?;
            }
        }
        Ok(())
    }

    fn who(&self, process: usize) -> String {
        let process = &self.reports[process].trace.process;
        format!("{} (pid {})", start_of(&command(process), COMMAND), process.pid)
    }

    /// What was not looked at, in one sentence.
    fn spared(&self, programs: &[Program<'_>], out: &mut dyn io::Write) -> io::Result<()> {
        let spared = |program: &Program<'_>| {
            let count =
                program.processes.iter().filter(|process| self.judgements[**process].is_spared).count();
            (count > 0).then(|| format!("{count} × {}", program.name()))
        };
        let spared: Vec<String> = programs.iter().filter_map(spared).collect();
        if spared.is_empty() {
            return Ok(());
        }
        let sentence = format!(
            "not looked at, as they are the system's (--bystanders judge does): {}",
            spared.join(", ")
        );
        wrap(&sentence, WIDTH).iter().try_for_each(|line| writeln!(out, "{line}"))
    }

    /// What is to be said of a process that does not fail, after a colon; nothing if there is nothing.
    fn what(&self, process: usize) -> String {
        let judgement = &self.judgements[process];
        if let Some(why) = &judgement.undecided {
            return format!(": {why}");
        }
        let passing = [(judgement.known.len(), "in the baseline"), (judgement.within, "within the limits")];
        let said = passing.iter().filter(|(count, _)| *count > 0);
        let said: Vec<String> =
            said.map(|(count, what)| format!("{} {what}", counted(*count as u64, "finding"))).collect();
        if said.is_empty() { String::new() } else { format!(": {}", said.join(", ")) }
    }

    /// What fails in all processes, if that is more than one report says.
    fn sums(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let same = same(self.reports, self.judgements);
        if same.iter().all(|same| same.processes == 1) && same.len() < 2 {
            return Ok(());
        }
        writeln!(out, "\nin all processes:")?;
        for same in same.iter().take(MOST) {
            let amount = match same.rule {
                Rule::WrongFree => counted(same.blocks, "time"),
                _ => format!("{} in {}", size(same.bytes), counted(same.blocks, "block")),
            };
            let function = same.function.as_deref().map(|name| format!(" {}", escape(name)));
            let processes = counted(same.processes as u64, "process");
            writeln!(
                out,
                "  {:<10} {amount:<26} {}{} in {processes}  {}",
                same.rule.name(),
                escape(same.program),
                function.unwrap_or_default(),
                same.fingerprint
            )?;
        }
        if let Some(more) = same.len().checked_sub(MOST).filter(|more| *more > 0) {
            writeln!(out, "  and {more} more (--format json has them all)")?;
        }
        writeln!(out)
    }
}

/// `2 definite, 1 wrong-free`, and what is not known besides.
fn counts(judgement: &Judgement) -> String {
    let of = |rule: Rule| judgement.failed.iter().filter(|failed| failed.rule == rule).count();
    let counts = Rule::ALL.into_iter().map(|rule| (of(rule), rule)).filter(|(count, _)| *count > 0);
    let mut parts: Vec<String> = counts.map(|(count, rule)| format!("{count} {}", rule.name())).collect();
    parts.extend(judgement.undecided.clone());
    parts.join(", ")
}
