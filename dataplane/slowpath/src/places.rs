//! A hash table whose entries stay where they are put.
//!
//! A table that grows by moving its entries lets first packets wait: with 100,000 flows for some 10 milliseconds, in which the
//! fast path uses up all that it may begin by itself. Here entries lie in blocks that don't move, and what is made anew is
//! an index of eight bytes for each. That an entry has a place of its own also lets sweeps go on where they have stopped, and entries
//! point at each other.

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::{BuildHasher, Hash};

/// Number of an entry's place.
pub(crate) type Place = u32;

/// No entry's place.
pub(crate) const NOWHERE: Place = Place::MAX;

const BLOCK: usize = 1024;

/// An entry with the key that it is found by.
pub(crate) trait Keyed {
    type Key: Eq + Hash;

    fn key(&self) -> Self::Key;
}

#[derive(Debug)]
pub(crate) struct PlacedTable<T> {
    blocks: Blocks<T>,
    index: HashTable<Slot>,
    hasher: RandomState,
    /// Where the next sample begins.
    hand: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Half of the key's hash: so no entry is looked at when the index grows.
    hash: u32,
    place: Place,
}

impl Slot {
    /// What the index works with: it takes some bits from either end.
    fn spread(&self) -> u64 {
        spread(self.hash)
    }

    fn is_of<T: Keyed>(&self, blocks: &Blocks<T>, hash: u32, key: &T::Key) -> bool {
        self.hash == hash && blocks.get(self.place).is_some_and(|entry| entry.key() == *key)
    }
}

fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl<T> Default for PlacedTable<T> {
    fn default() -> Self {
        Self { blocks: Blocks::default(), index: HashTable::new(), hasher: RandomState::default(), hand: 0 }
    }
}

impl<T: Keyed> PlacedTable<T> {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// One more than the last place there is; some of those before may be free.
    pub fn places(&self) -> usize {
        self.blocks.places()
    }

    pub fn get(&self, place: Place) -> Option<&T> {
        self.blocks.get(place)
    }

    /// The entry's key must stay the same.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        self.blocks.at(place)?.as_mut()
    }

    pub fn find(&self, key: &T::Key) -> Option<Place> {
        let hash = self.hash(key);
        self.index.find(spread(hash), |slot| slot.is_of(&self.blocks, hash, key)).map(|slot| slot.place)
    }

    /// Puts an entry in, where there is none with its key. Says where that one is, and whether it is the new one.
    pub fn find_or_insert(&mut self, entry: T) -> (Place, bool) {
        let key = entry.key();
        let hash = self.hash(&key);
        let blocks = &mut self.blocks;
        match self.index.entry(spread(hash), |slot| slot.is_of(blocks, hash, &key), Slot::spread) {
            Entry::Occupied(slot) => (slot.get().place, false),
            Entry::Vacant(slot) => {
                let place = blocks.put(entry);
                slot.insert(Slot { hash, place });
                (place, true)
            }
        }
    }

    pub fn remove(&mut self, place: Place) -> Option<T> {
        let hash = self.hash(&self.get(place)?.key());
        let slot = self.index.find_entry(spread(hash), |slot| slot.place == place).ok()?;
        slot.remove();
        self.blocks.take(place)
    }

    /// The entries in so many places before `end`.
    pub fn before(&self, end: usize, count: usize) -> impl Iterator<Item = &T> {
        let end = end.min(self.places());
        (end.saturating_sub(count)..end).filter_map(|place| self.get(Place::try_from(place).unwrap_or(NOWHERE)))
    }

    /// The entries in the next so many places, behind those of the last sample, and at the end from the start again. Never
    /// the first ones always: the places that get free are the next to be taken, so these would be the newest entries.
    pub fn sample(&mut self, count: usize) -> impl Iterator<Item = &T> {
        let start = if self.hand < self.places() { self.hand } else { 0 };
        self.hand = start + count;
        self.before(self.hand, count.min(self.places() - start))
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.blocks.iter().flatten().flatten()
    }

    pub fn into_entries(self) -> impl Iterator<Item = T> {
        self.blocks.blocks.into_iter().flatten().flatten()
    }

    fn hash(&self, key: &T::Key) -> u32 {
        let hash = self.hasher.hash_one(key);
        (hash >> 32) as u32
    }
}

/// The entries, each in its place.
#[derive(Debug)]
struct Blocks<T> {
    /// All but the last one are full. The first one grows as it is needed, since most tables are small.
    blocks: Vec<Vec<Option<T>>>,
    free: Vec<Place>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), free: Vec::new() }
    }
}

impl<T> Blocks<T> {
    fn places(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.len())
    }

    fn get(&self, place: Place) -> Option<&T> {
        self.blocks.get(place as usize / BLOCK)?.get(place as usize % BLOCK)?.as_ref()
    }

    fn at(&mut self, place: Place) -> Option<&mut Option<T>> {
        self.blocks.get_mut(place as usize / BLOCK)?.get_mut(place as usize % BLOCK)
    }

    fn put(&mut self, entry: T) -> Place {
        if let Some(place) = self.free.pop()
            && let Some(free) = self.at(place)
        {
            *free = Some(entry);
            return place;
        }
        let place = Place::try_from(self.places()).unwrap_or(NOWHERE);
        match self.blocks.last_mut().filter(|last| last.len() < BLOCK) {
            Some(last) => last.push(Some(entry)),
            None => {
                let mut block = if self.blocks.is_empty() { Vec::new() } else { Vec::with_capacity(BLOCK) };
                block.push(Some(entry));
                self.blocks.push(block);
            }
        }
        place
    }

    fn take(&mut self, place: Place) -> Option<T> {
        let entry = self.at(place)?.take()?;
        self.free.push(place);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Entry(u16, u32);

    impl Keyed for Entry {
        type Key = u16;

        fn key(&self) -> u16 {
            self.0
        }
    }

    #[test]
    fn entries_keep_their_places_while_the_table_grows() {
        let mut table = PlacedTable::default();
        let places: Vec<Place> = (0..5000).map(|n| table.find_or_insert(Entry(n, n.into())).0).collect();
        assert_eq!((table.len(), table.places()), (5000, 5000));
        for (n, place) in (0..5000).zip(places) {
            assert_eq!(table.find(&n), Some(place));
            assert_eq!(table.get(place), Some(&Entry(n, n.into())));
        }
        assert_eq!((table.find(&5000), table.get(5000), table.get(NOWHERE)), (None, None, None));
        assert_eq!(table.find_or_insert(Entry(7, 0)), (7, false), "what is there stays");
    }

    #[test]
    fn samples_go_round() {
        let mut table = PlacedTable::default();
        for n in 0..10 {
            table.find_or_insert(Entry(n, 0));
        }
        table.remove(5);
        let mut sample = || -> Vec<u16> { table.sample(4).map(|entry| entry.0).collect() };
        assert_eq!(
            [sample(), sample(), sample(), sample()],
            [vec![0, 1, 2, 3], vec![4, 6, 7], vec![8, 9], vec![0, 1, 2, 3]]
        );
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(steps in prop::collection::vec((0u16..3000, any::<bool>()), 0..6000)) {
            let (mut table, mut map) = (PlacedTable::default(), BTreeMap::new());
            for (number, (key, is_put)) in (0..).zip(steps) {
                if is_put {
                    let is_new = table.find_or_insert(Entry(key, number)).1;
                    prop_assert_eq!(is_new, !map.contains_key(&key));
                    map.entry(key).or_insert(number);
                } else {
                    let removed = table.find(&key).and_then(|place| table.remove(place));
                    prop_assert_eq!(removed.map(|entry| entry.1), map.remove(&key));
                }
            }
            let held: BTreeMap<u16, u32> = table.iter().map(|entry| (entry.0, entry.1)).collect();
            prop_assert_eq!((table.len(), &held), (map.len(), &map));
            let mut end = table.places();
            let mut portions = 0;
            while end > 0 {
                portions += table.before(end, 100).count();
                end = end.saturating_sub(100);
            }
            prop_assert_eq!(portions, map.len());
        }
    }
}
