//! The changes of late, so that whoever has an earlier world of the same line learns what is different without a search.
//!
//! ```text
//! newest: key → key → … → key     at most LENGTH; then this chain becomes the older one, and a new one begins
//! older:  key → … → key
//! ```
//!
//! Two worlds are of one line if the later one has the other's last link among its own. A link is made by one change, and no
//! two changes make the same one; so the world that has it last is known by it.

use crate::record::RecordKey;
use std::fmt;
use std::sync::Arc;

/// Links of a chain. Between one and two chains' worth of changes are known.
const LENGTH: usize = 256;

#[derive(Clone, Default)]
pub(crate) struct Journal {
    newest: Chain,
    older: Chain,
}

/// How a world has come to be is no part of what it is: two that are alike look alike.
impl fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Journal")
    }
}

type Chain = Option<Arc<Link>>;

struct Link {
    key: RecordKey,
    /// Links from here to the chain's end.
    length: usize,
    before: Chain,
}

impl Journal {
    /// Notes a change.
    pub(crate) fn note(&mut self, key: RecordKey) {
        let length = self.newest.as_ref().map_or(0, |link| link.length);
        let before = self.newest.take();
        self.newest = Some(if length < LENGTH {
            Arc::new(Link { key, length: length + 1, before })
        } else {
            self.older = before;
            Arc::new(Link { key, length: 1, before: None })
        });
    }

    /// The keys of the changes after `earlier`, the newest first, one as often as it was changed. None if these are not
    /// known: it is of another line, or too old.
    pub(crate) fn since(&self, earlier: &Journal) -> Option<Vec<RecordKey>> {
        let last = earlier.newest.as_ref()?;
        let mut keys = Vec::new();
        for link in links(&self.newest).chain(links(&self.older)) {
            if Arc::ptr_eq(link, last) {
                return Some(keys);
            }
            keys.push(link.key.clone());
        }
        None
    }
}

fn links(chain: &Chain) -> impl Iterator<Item = &Arc<Link>> {
    std::iter::successors(chain.as_ref(), |link| link.before.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VpcId;

    fn key(number: u128) -> RecordKey {
        RecordKey::Vpc(VpcId::from_bits(number))
    }

    fn after(mut journal: Journal, numbers: impl IntoIterator<Item = u128>) -> Journal {
        numbers.into_iter().for_each(|number| journal.note(key(number)));
        journal
    }

    #[test]
    fn what_was_changed_since_is_known_the_newest_first() {
        let one = after(Journal::default(), [1]);
        let four = after(one.clone(), [2, 3, 4]);
        assert_eq!(four.since(&one), Some(vec![key(4), key(3), key(2)]));
        assert_eq!(four.since(&four), Some(Vec::new()));
    }

    #[test]
    fn another_line_is_not_taken_for_this_one() {
        let one = after(Journal::default(), [1]);
        let (left, right) = (after(one.clone(), [2]), after(one.clone(), [2]));
        assert_eq!((left.since(&right), one.since(&left)), (None, None));
        assert_eq!(one.since(&Journal::default()), None, "nothing is known of where it began");
    }

    #[test]
    fn a_chains_worth_of_changes_is_known_and_not_all() {
        let known = LENGTH as u128;
        for before in [1, 5, known, known + 7] {
            let earlier = after(Journal::default(), 0..before);
            let later = after(earlier.clone(), 0..known);
            assert_eq!(later.since(&earlier).map(|keys| keys.len()), Some(LENGTH), "after {before}");
            assert_eq!(after(later, 0..known).since(&earlier), None, "after {before}");
        }
        let endless = after(Journal::default(), 0..100 * known);
        assert!(links(&endless.newest).chain(links(&endless.older)).count() <= 2 * LENGTH);
    }
}
