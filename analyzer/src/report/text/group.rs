//! Stacks added up by what they have in common, one line each.

use super::{Text, WIDTH};
use crate::analysis::{GroupBy, StackGroup};
use crate::report::estimates::Wording;
use crate::report::{counted, escape, names};
use std::borrow::Cow;
use std::io;

pub(super) fn write_all(text: &Text, groups: &[StackGroup], out: &mut dyn io::Write) -> io::Result<()> {
    let by = text.report.selected.grouped_by;
    let whole = text.report.totals.heap.live_bytes.value();
    let line = |group: &StackGroup| {
        let wording = Wording::of_stack(&group.usage, &text.report.trace.settings);
        let (blocks, bytes) = (group.usage.live_blocks.value(), group.usage.live_bytes.value());
        let kinds = group.kinds.as_ref().map(|kinds| super::stack::kinds(kinds, blocks)).unwrap_or_default();
        [
            wording.size(bytes),
            wording.share(bytes, whole),
            format!("{}{kinds}", wording.counted(blocks, "block")),
            counted(group.stacks as u64, "stack"),
        ]
    };
    let lines: Vec<[String; 4]> = groups.iter().map(line).collect();
    let widest = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(widest);
    let rank = groups.len().to_string().len().max(2);
    writeln!(out)?;
    for (index, ([size, share, blocks, stacks], group)) in lines.iter().zip(groups).enumerate() {
        let line = format!(
            "{:>rank$}  {size:>a$}  {share:>b$}  {blocks:<c$}  {stacks:<d$}  ",
            index + 1,
            a = widths[0],
            b = widths[1],
            c = widths[2],
            d = widths[3]
        );
        let room = WIDTH.saturating_sub(line.chars().count()).max(24);
        let name = name(text, group, by, room);
        writeln!(out, "{line}{}", text.style.bold(&escape(&name)))?;
    }
    let more = text.report.selected.more_groups as u64;
    if more > 0 {
        let what = counted(more, &format!("more {}", by.name()));
        writeln!(out, "\n{what} not shown (--top N shows N of them)")?;
    }
    Ok(())
}

/// The name of a group in at most `room` columns.
fn name<'a>(text: &Text, group: &'a StackGroup, by: GroupBy, room: usize) -> Cow<'a, str> {
    let Some(name) = group.name.as_deref() else {
        return match group.tid {
            Some(tid) => format!("thread {tid}").into(),
            None => format!("of unknown {}", by.name()).into(),
        };
    };
    let room = if text.layout.full_names { usize::MAX } else { room };
    match by {
        GroupBy::Function if !text.layout.full_names => names::function(name, room),
        GroupBy::File => names::end_of(text.layout.path(name), room),
        GroupBy::Module if !text.layout.full_paths => names::end_of(names::base(name), room),
        GroupBy::Module => name.into(),
        GroupBy::Thread => match group.tid {
            Some(tid) => format!("{name} ({tid})").into(),
            None => name.into(),
        },
        _ => names::start_of(name, room),
    }
}
