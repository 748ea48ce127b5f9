//! How to step over a frame, in 64 bits, and the cache of such rules.

use core::sync::atomic::{AtomicU64, Ordering::*};

/// What it takes to get from a frame to its caller, when pc, sp and the frame pointer suffice.
///
/// ```text
///  63      48 47        28 27   25 24        5  4      0
/// | module   | fp offset  | fp    | CFA offset | kind   |
/// ```
///
/// Offsets are in units of 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rule(u64);

/// Where the canonical frame address (CFA: sp before the call) comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Kind {
    /// sp + offset.
    Sp = 1,
    /// Frame pointer + offset.
    Fp = 2,
    /// The word at frame pointer + offset (a realigned stack).
    AtFp = 3,
    /// The frame of a signal handler's return code: registers are in the saved context.
    Signal = 4,
    /// The thread's first frame.
    Outermost = 5,
    /// More registers are needed than these.
    Full = 6,
    /// No call frame information: the frame pointer, if it holds up.
    Guess = 7,
}

/// Where the caller's frame pointer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Fp {
    /// Unchanged.
    Same = 0,
    /// At CFA + offset.
    AtCfa = 1,
    /// At frame pointer + offset.
    AtPointer = 2,
}

const FIELD: u32 = 20;

impl Rule {
    /// A rule; `None` if an offset is no multiple of 8 or too large (then [`Kind::Full`] will do).
    pub fn new(kind: Kind, cfa_offset: i64, fp: Fp, fp_offset: i64) -> Option<Rule> {
        let field = |offset: i64| {
            let words = offset / 8;
            let fits = offset % 8 == 0 && words >> (FIELD - 1) == words >> 63;
            fits.then_some(words as u64 & ((1 << FIELD) - 1))
        };
        Some(Rule(kind as u64 | field(cfa_offset)? << 5 | (fp as u64) << 25 | field(fp_offset)? << 28))
    }

    /// A rule without offsets.
    pub const fn of_kind(kind: Kind) -> Rule {
        Rule(kind as u64)
    }

    /// The same rule for code of `module`.
    pub fn in_module(self, module: u16) -> Rule {
        Rule(self.0 & (u64::MAX >> 16) | (module as u64) << 48)
    }

    /// The kind.
    #[inline]
    pub fn kind(self) -> Kind {
        match self.0 & 31 {
            1 => Kind::Sp,
            2 => Kind::Fp,
            3 => Kind::AtFp,
            4 => Kind::Signal,
            5 => Kind::Outermost,
            7 => Kind::Guess,
            _ => Kind::Full,
        }
    }

    /// Offset of the CFA, bytes.
    #[inline]
    pub fn cfa_offset(self) -> isize {
        (self.0 << (64 - 5 - FIELD)) as isize >> (64 - FIELD) << 3
    }

    /// Where the caller's frame pointer is.
    #[inline]
    pub fn fp(self) -> Fp {
        match self.0 >> 25 & 7 {
            0 => Fp::Same,
            1 => Fp::AtCfa,
            _ => Fp::AtPointer,
        }
    }

    /// Offset of the caller's frame pointer, bytes.
    #[inline]
    pub fn fp_offset(self) -> isize {
        (self.0 << (64 - 28 - FIELD)) as isize >> (64 - FIELD) << 3
    }

    /// The module of the code.
    #[inline]
    pub fn module(self) -> u16 {
        (self.0 >> 48) as u16
    }
}

const WAYS: usize = 4;
const SETS: usize = 8192;

/// The cache, shared by all threads: 32 768 entries of 16 bytes, touched only as used.
///
/// An entry is two words: key XOR rule, and rule. A reader that gets the words of two different stores sees a key that is not
/// its own (Hyatt and Mann, "A lock-less transposition table implementation for parallel search", 2002). Keys are scattered for that:
/// addresses differ in few bits, as rules do, and three of them could make up a fourth.
pub struct Cache {
    sets: [Set; SETS],
}

#[repr(align(64))]
struct Set([[AtomicU64; 2]; WAYS]);

impl Cache {
    /// An empty cache.
    pub const fn new() -> Cache {
        Cache { sets: [const { Set([const { [const { AtomicU64::new(0) }; 2] }; WAYS]) }; SETS] }
    }

    /// The rule for an address, if it is cached in this generation.
    #[inline]
    pub fn get(&self, pc: usize, exact: bool, generation: u64) -> Option<Rule> {
        let key = key(pc, exact, generation);
        for entry in &self.set(key).0 {
            let mixed = entry[0].load(Relaxed);
            let rule = entry[1].load(Relaxed);
            if mixed ^ rule == key {
                return Some(Rule(rule));
            }
        }
        None
    }

    /// Enters a rule in place of an old one.
    pub fn put(&self, pc: usize, exact: bool, generation: u64, rule: Rule) {
        let key = key(pc, exact, generation);
        let set = &self.set(key).0;
        let free = set.iter().position(|entry| entry[1].load(Relaxed) == 0);
        // Round robin by what is random enough: the rule and address themselves.
        let way = free.unwrap_or((key ^ key >> 7 ^ rule.0 >> 5) as usize % WAYS);
        set[way][0].store(key ^ rule.0, Relaxed);
        set[way][1].store(rule.0, Relaxed);
    }

    #[inline]
    fn set(&self, key: u64) -> &Set {
        &self.sets[(key >> (64 - SETS.trailing_zeros())) as usize]
    }
}

/// Another one for each address, kind and generation: an odd factor loses nothing. Never 0: the generation starts at 1.
fn key(pc: usize, exact: bool, generation: u64) -> u64 {
    (pc as u64 ^ generation << 49 ^ (exact as u64) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_what_it_was_made_of() {
        for (cfa, fp) in [(16, -16), (8, 0), (4 << 20, -(4 << 20)), (-(4 << 20), 8)] {
            let Some(rule) = Rule::new(Kind::Sp, cfa, Fp::AtCfa, fp) else {
                assert!(cfa.abs() >= 4 << 20 || fp.abs() > 4 << 20, "{cfa} {fp} should fit");
                continue;
            };
            let rule = rule.in_module(0xfffe);
            assert_eq!((rule.kind(), rule.cfa_offset() as i64), (Kind::Sp, cfa));
            assert_eq!((rule.fp(), rule.fp_offset() as i64, rule.module()), (Fp::AtCfa, fp, 0xfffe));
        }
        assert!(Rule::new(Kind::Sp, 12, Fp::Same, 0).is_none(), "not a multiple of 8");
    }

    #[test]
    fn the_cache_answers_only_for_the_address_and_generation_it_was_told() {
        static CACHE: Cache = Cache::new();
        let rule = Rule::of_kind(Kind::Outermost);
        CACHE.put(0x1234, false, 1, rule);
        assert!(CACHE.get(0x1234, false, 1) == Some(rule));
        assert!(CACHE.get(0x1234, true, 1).is_none());
        assert!(CACHE.get(0x1234, false, 2).is_none());
        assert!(CACHE.get(0x1235, false, 1).is_none());
    }
}
