//! What every running thread was doing at this moment: operations that a killed process left undecided.

use super::live::{LiveBlock, LiveBlocks, LiveTable};
use super::process::Ending;
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::RegionKind;
use libleak_format::live::{Key, Payload, State};
use libleak_format::threads::{Operation, Slot};
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// An operation whose outcome the trace does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// What was being done.
    pub operation: Operation,
    /// Index of the thread.
    pub thread: u32,
    /// The block it is about; 0 for an allocation.
    pub address: u64,
    /// Bytes asked for.
    pub size: u64,
}

/// What the slots add to the tables.
#[derive(Default)]
pub(super) struct InFlight {
    /// Operations under way, unless the process ended in an orderly way.
    pub(super) undecided: Vec<Undecided>,
    /// Heap bytes that threads have not yet added to the header's count.
    pub(super) pending_bytes: i64,
}

/// Reads the slots; blocks that a `realloc` took out of the table are added to `blocks`, because nobody knows that they
/// are gone.
pub(super) fn read(
    file: &[u8],
    ending: Ending,
    table: &LiveTable,
    blocks: &mut LiveBlocks,
    warnings: &mut Warnings,
) -> InFlight {
    let slots: Table<Slot> = Table::open(file, RegionKind::Slots, "slots", warnings);
    let mut found = InFlight::default();
    for (_, slot) in slots.iter() {
        let pending = slot.heap_bytes.load(Relaxed).wrapping_sub(slot.flushed_bytes.load(Relaxed));
        found.pending_bytes = found.pending_bytes.wrapping_add(pending);
        let Some(thread) = slot.thread.load(Acquire).checked_sub(1) else { continue };
        let Some(operation) = Operation::from_word(slot.operation.load(Acquire)) else { continue };
        if operation == Operation::Reallocate
            && let Some(block) = moved(slot, table)
        {
            blocks.add(&block);
        }
        if !ending.is_orderly() {
            let (address, size) = (slot.address.load(Relaxed), slot.size.load(Relaxed));
            found.undecided.push(Undecided { operation, thread, address, size });
        }
    }
    found
}

/// The block that a slot's `realloc` holds, unless it is already back in the table.
fn moved(slot: &Slot, table: &LiveTable) -> Option<LiveBlock> {
    let [key, first, second] = slot.moved.each_ref().map(|word| word.load(Relaxed));
    let key = Key(key);
    if key.state() != Some(State::Live) || table.has(key.address()) {
        return None;
    }
    Some(table.block(key, Payload::unpack([first, second])))
}
