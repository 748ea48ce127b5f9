//! What several processes have, told once.

use std::collections::HashMap;
use std::hash::Hash;

/// What one or more processes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Merged<T> {
    /// As the process has it that has most of it.
    pub(super) most: T,
    /// How many have it.
    pub(super) processes: u64,
    /// From 1: which of those that a process has by one key. Stacks have one name if they differ in nothing but lines.
    pub(super) number: usize,
}

/// Merges what processes have by a key, and takes the one of the largest size.
pub(super) fn merge<T: Copy, K: Hash + Eq + Clone>(
    processes: impl Iterator<Item = impl Iterator<Item = T>>,
    key: impl Fn(&T) -> K,
    size: impl Fn(&T) -> u64,
) -> Vec<Merged<T>> {
    let mut places: HashMap<(K, usize), usize> = HashMap::new();
    let mut merged: Vec<Merged<T>> = Vec::new();
    for process in processes {
        let mut seen: HashMap<K, usize> = HashMap::new();
        for item in process {
            let key = key(&item);
            let number = seen.entry(key.clone()).and_modify(|number| *number += 1).or_insert(1);
            let place = *places.entry((key, *number)).or_insert(merged.len());
            match merged.get_mut(place) {
                None => merged.push(Merged { most: item, processes: 1, number: *number }),
                Some(known) => {
                    known.processes += 1;
                    if size(&known.most) < size(&item) {
                        known.most = item;
                    }
                }
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_different_processes_have_is_merged() {
        let processes = [vec![("a", 1), ("a", 2)], vec![("a", 3)], vec![("b", 1), ("a", 1)]];
        let merged = merge(processes.into_iter().map(Vec::into_iter), |item| item.0, |item| item.1);
        let of = |most, processes, number| Merged { most, processes, number };
        assert_eq!(merged, [of(("a", 3), 3, 1), of(("a", 2), 1, 2), of(("b", 1), 1, 1)]);
    }
}
