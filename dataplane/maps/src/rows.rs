//! Which row of an array holds what, and which rows nothing names any more: the bookkeeping alone, without the kernel.
//!
//! Rows are not counted by those who name them, since the kernel's program makes and user space takes out flows in passing.
//! They are marked and swept: a walk over the flow table, then one over the pairs, sees who names which row.
//!
//! A row is free for others when two sweeps in a row have not seen it, and nobody has asked for it since the first of
//! them. Two, and not one:
//!
//! - What user space writes has asked for its rows at that time. A walk that misses the newcomer ends in a sweep that finds
//!   its rows asked for; the next walk sees it.
//! - What the program puts in from a pair has asked for nothing. A walk may be past the flow's place when the flow comes, and
//!   the pair be gone when the walk gets to the pairs: this sweep has seen neither. But the flow is there when the next walk
//!   begins, and that sees it for as long as it stays. If the pair stays or is written again, its rows are seen or asked for.
//!
//! It rests on walks that don't overlap, and on this: whoever takes a pair away waits for what it was about to begin before
//! the next walk starts. (A walk's visitor takes the engine's lock at its end, and pairs go under that lock.)

use std::collections::HashMap;
use std::hash::Hash;

/// Sweeps in a row that must not see a row that is to be free.
const SWEEPS: u8 = 2;

/// Rows by what they hold. Their numbers begin at 1.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    by_content: HashMap<T, u32>,
    /// By number; the first is none.
    rows: Vec<Row<T>>,
    free: Vec<u32>,
    /// The highest number.
    max: u32,
}

#[derive(Debug, Clone)]
struct Row<T> {
    /// `None`: free.
    content: Option<T>,
    /// Since the last sweep.
    is_asked_for: bool,
    /// Sweeps in a row that have not seen it.
    unseen: u8,
}

/// A row as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub number: u32,
    /// Its content is to be written.
    pub is_new: bool,
}

/// What one walk has seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen(Vec<bool>);

impl Seen {
    /// Nothing yet, of rows with numbers up to `max`.
    pub fn none_of(max: u32) -> Self {
        Self(vec![false; max as usize + 1])
    }

    /// There is nothing to see of a number that no row has.
    pub fn mark(&mut self, number: u32) {
        if let Some(seen) = self.0.get_mut(number as usize) {
            *seen = true;
        }
    }

    fn contains(&self, number: usize) -> bool {
        self.0.get(number).is_some_and(|seen| *seen)
    }
}

impl<T: Copy + Eq + Hash> Rows<T> {
    /// As many as `max` rows, of which those from 1 on hold what an earlier process left; `None` for a free one.
    pub fn adopt(max: u32, left: impl IntoIterator<Item = Option<T>>) -> Self {
        let row = |content| Row { content, is_asked_for: true, unseen: 0 };
        let mut rows: Vec<Row<T>> = [None].into_iter().chain(left).take(max as usize + 1).map(row).collect();
        let used = rows.iter().rposition(|row| row.content.is_some()).unwrap_or(0);
        rows.truncate(used + 1);
        rows.shrink_to_fit();
        let numbered = || rows.iter().zip(0u32..).skip(1);
        let by_content = numbered().filter_map(|(row, number)| Some((row.content?, number))).collect();
        let free = numbered().filter(|(row, _)| row.content.is_none()).map(|(_, number)| number).collect();
        Self { by_content, rows, free, max }
    }

    /// The row that holds this; `None` where all rows hold something else.
    pub fn ask(&mut self, content: &T) -> Option<Asked> {
        if let Some(number) = self.by_content.get(content) {
            self.rows[*number as usize].is_asked_for = true;
            return Some(Asked { number: *number, is_new: false });
        }
        let row = Row { content: Some(*content), is_asked_for: true, unseen: 0 };
        let number = match self.free.pop() {
            Some(number) => {
                self.rows[number as usize] = row;
                number
            }
            None => {
                let number = u32::try_from(self.rows.len()).ok().filter(|number| *number <= self.max)?;
                self.rows.push(row);
                number
            }
        };
        self.by_content.insert(*content, number);
        Some(Asked { number, is_new: true })
    }

    /// Ends a walk that has seen all flows that were there throughout, and then all pairs. Frees what is named no more, and
    /// calls `freed` with each number.
    pub fn sweep(&mut self, seen: &Seen, mut freed: impl FnMut(u32)) {
        for (number, row) in (0u32..).zip(&mut self.rows) {
            let Some(content) = row.content else { continue };
            let is_used = std::mem::take(&mut row.is_asked_for) || seen.contains(number as usize);
            row.unseen = if is_used { 0 } else { row.unseen + 1 };
            if row.unseen < SWEEPS {
                continue;
            }
            row.content = None;
            // An earlier process may have left two that are alike.
            if self.by_content.get(&content) == Some(&number) {
                self.by_content.remove(&content);
            }
            self.free.push(number);
            freed(number);
        }
    }

    /// The highest number.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// Rows that hold something.
    pub fn len(&self) -> usize {
        self.rows.iter().filter(|row| row.content.is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_worlds::Rng;
    use std::collections::{BTreeMap, BTreeSet, HashSet};

    const MAX: u32 = 12;
    /// Places of flows, which a walk passes one by one.
    const PLACES: u64 = 8;
    const PAIRS: u64 = 3;
    const CONTENTS: u64 = 20;
    const NONE: [u32; 0] = [];

    fn freed_by(rows: &mut Rows<u64>, seen: &Seen) -> Vec<u32> {
        let mut freed = Vec::new();
        rows.sweep(seen, |number| freed.push(number));
        freed
    }

    #[test]
    fn the_same_is_one_row_and_a_full_array_says_so() {
        let mut rows = Rows::adopt(2, []);
        assert_eq!(rows.ask(&7), Some(Asked { number: 1, is_new: true }));
        assert_eq!(rows.ask(&7), Some(Asked { number: 1, is_new: false }));
        assert_eq!(rows.ask(&8), Some(Asked { number: 2, is_new: true }));
        assert_eq!((rows.ask(&9), rows.len()), (None, 2));
    }

    #[test]
    fn a_row_is_free_after_two_sweeps_that_do_not_see_it_since_it_was_asked_for() {
        let mut rows = Rows::adopt(2, []);
        let none = Seen::none_of(MAX);
        rows.ask(&7);
        assert_eq!(freed_by(&mut rows, &none), NONE, "asked for");
        assert_eq!(freed_by(&mut rows, &none), NONE, "once");
        let mut seen = Seen::none_of(MAX);
        seen.mark(1);
        assert_eq!(freed_by(&mut rows, &seen), NONE);
        assert_eq!(freed_by(&mut rows, &none), NONE, "once again");
        assert_eq!(freed_by(&mut rows, &none), [1]);
        assert_eq!(rows.ask(&8), Some(Asked { number: 1, is_new: true }));
        assert_eq!(rows.ask(&7), Some(Asked { number: 2, is_new: true }));
    }

    #[test]
    fn what_an_earlier_process_left_is_found_and_its_gaps_are_used() {
        let mut rows = Rows::adopt(4, [None, Some(7), Some(7), None]);
        assert_eq!((rows.len(), rows.ask(&7).unwrap().is_new), (2, false));
        assert_eq!(rows.ask(&8), Some(Asked { number: 1, is_new: true }));
        assert_eq!(rows.ask(&9), Some(Asked { number: 4, is_new: true }));
        assert_eq!(rows.ask(&10), None);
        let none = Seen::none_of(MAX);
        let freed: Vec<u32> = (0..3).flat_map(|_| freed_by(&mut rows, &none)).collect();
        assert_eq!(freed, [1, 2, 3, 4]);
        assert_eq!((rows.len(), rows.by_content.len()), (0, 0));
    }

    /// A host in small: flows at their places, pairs, a walk on its way.
    struct Host {
        rows: Rows<u64>,
        /// What each row holds for those who name it.
        array: BTreeMap<u32, u64>,
        /// By place: row and what it is to say.
        flows: BTreeMap<u64, (u32, u64)>,
        pairs: BTreeMap<u64, (u32, u64)>,
        /// What the program has found in a pair and is about to put in at a place.
        begun: Vec<(u64, u64, (u32, u64))>,
        /// Place that the walk comes to next, and what it has seen.
        walk: Option<(u64, Seen)>,
    }

    impl Host {
        fn ask(&mut self, content: u64) -> Option<(u32, u64)> {
            let Asked { number, is_new } = self.rows.ask(&content)?;
            if is_new {
                self.array.insert(number, content);
            }
            Some((number, content))
        }

        fn step(&mut self, rng: &mut Rng) {
            let place = rng.next_u64() % PLACES;
            let pair = rng.next_u64() % PAIRS;
            match rng.next_u64() % 14 {
                0..=1 => {
                    if let Some(named) = self.ask(rng.next_u64() % CONTENTS) {
                        self.flows.insert(place, named);
                    }
                }
                2..=3 => {
                    self.flows.remove(&place);
                }
                4 => {
                    if let Some(named) = self.ask(rng.next_u64() % CONTENTS) {
                        self.pairs.insert(pair, named);
                    }
                }
                5 => {
                    self.pairs.remove(&pair);
                }
                // The program asks nobody.
                6..=7 => self.begun.extend(self.pairs.get(&pair).map(|named| (pair, place, *named))),
                8 => {
                    if let Some((_, place, named)) = self.begun.pop() {
                        self.flows.entry(place).or_insert(named);
                    }
                }
                _ => self.walk_on(),
            }
        }

        fn walk_on(&mut self) {
            let (place, mut seen) = self.walk.take().unwrap_or_else(|| (0, Seen::none_of(MAX)));
            if let Some((number, _)) = self.flows.get(&place) {
                seen.mark(*number);
            }
            if place < PLACES {
                self.walk = Some((place + 1, seen));
                return;
            }
            self.pairs.values().for_each(|(number, _)| seen.mark(*number));
            let array = &mut self.array;
            self.rows.sweep(&seen, |number| {
                array.remove(&number);
            });
            // Who has taken a pair away has waited.
            let (flows, pairs) = (&mut self.flows, &self.pairs);
            self.begun.retain(|(pair, place, named)| {
                let is_there = pairs.get(pair) == Some(named);
                if !is_there {
                    flows.entry(*place).or_insert(*named);
                }
                is_there
            });
        }

        fn check(&self) {
            let named = self.flows.values().chain(self.pairs.values());
            for (number, content) in named {
                assert_eq!(self.array.get(number), Some(content), "row {number}");
            }
            let numbers: HashSet<u32> = self.array.keys().copied().collect();
            assert_eq!(numbers.len(), self.rows.len());
            assert!(numbers.iter().all(|number| (1..=MAX).contains(number)));
        }
    }

    #[test]
    fn no_row_that_something_names_is_freed_and_all_others_are() {
        for seed in 0..300 {
            let rng = &mut Rng::new(seed);
            let mut host = Host {
                rows: Rows::adopt(MAX, []),
                array: BTreeMap::new(),
                flows: BTreeMap::new(),
                pairs: BTreeMap::new(),
                begun: Vec::new(),
                walk: None,
            };
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                for _ in 0..400 {
                    host.step(rng);
                    host.check();
                }
                // At rest: the walk under way and three whole ones.
                (0..4 * (PLACES + 1)).for_each(|_| host.walk_on());
                host.check();
                let named: BTreeSet<u32> =
                    host.flows.values().chain(host.pairs.values()).map(|(row, _)| *row).collect();
                assert_eq!(host.array.keys().copied().collect::<BTreeSet<u32>>(), named);
            }));
            if let Err(panic) = checked {
                println!("failed at seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
}
