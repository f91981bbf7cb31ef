//! An ordered map that holds few entries most of the time: what one run waits for. One entry stands in the map itself, as most runs have
//! no more. Up to a limit they are a sorted vector, which keeps its room when it is emptied; beyond that a tree, so that thousands of entries
//! cost no more than they have to. It never changes the order.

use std::collections::BTreeMap;

use super::rare::Empty;

/// So many entries stand in a vector.
const FEW: usize = 16;

/// See the head of the file.
#[derive(Debug)]
pub(crate) enum Few<K, V> {
    One(Option<(K, V)>),
    #[expect(clippy::box_collection, reason = "a pointer leaves the one entry the room that it needs, and no more")]
    Sorted(Box<Vec<(K, V)>>),
    #[expect(clippy::box_collection, reason = "a pointer leaves the others the room that they need, and no more")]
    Many(Box<BTreeMap<K, V>>),
}

/// Few of nothing are a rare part as they are.
impl<K: 'static, V: 'static> Empty for Few<K, V> {
    fn empty() -> &'static Few<K, V> {
        const { &Few::One(None) }
    }
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Few::One(None)
    }
}

impl<K: Ord, V> Few<K, V> {
    pub(crate) fn get(&self, key: K) -> Option<&V> {
        match self {
            Few::One(one) => one.as_ref().filter(|(at, _)| *at == key).map(|(_, value)| value),
            Few::Sorted(few) => few.get(place(few, &key).ok()?).map(|(_, value)| value),
            Few::Many(many) => many.get(&key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        match self {
            Few::One(one) => one.as_mut().filter(|(at, _)| *at == key).map(|(_, value)| value),
            Few::Sorted(few) => {
                let place = place(few, &key).ok()?;
                few.get_mut(place).map(|(_, value)| value)
            }
            Few::Many(many) => many.get_mut(&key),
        }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self {
            Few::One(one @ None) => {
                *one = Some((key, value));
                None
            }
            Few::One(Some((at, old))) if *at == key => Some(std::mem::replace(old, value)),
            Few::One(one) => {
                let mut few: Vec<(K, V)> = one.take().into_iter().collect();
                let place = place(&few, &key).unwrap_or_else(|place| place);
                few.insert(place, (key, value));
                *self = Few::Sorted(Box::new(few));
                None
            }
            Few::Sorted(few) => match place(few, &key) {
                Ok(place) => few.get_mut(place).map(|(_, old)| std::mem::replace(old, value)),
                Err(_) if few.len() >= FEW => {
                    let mut many: BTreeMap<K, V> = std::mem::take(&mut **few).into_iter().collect();
                    many.insert(key, value);
                    *self = Few::Many(Box::new(many));
                    None
                }
                Err(place) => {
                    few.insert(place, (key, value));
                    None
                }
            },
            Few::Many(many) => many.insert(key, value),
        }
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        match self {
            Few::One(one) => one.take_if(|(at, _)| *at == key).map(|(_, value)| value),
            Few::Sorted(few) => place(few, &key).ok().map(|place| few.remove(place).1),
            Few::Many(many) => {
                let value = many.remove(&key);
                if many.is_empty() {
                    *self = Few::default();
                }
                value
            }
        }
    }
}

impl<K, V> Few<K, V> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Few::One(one) => one.is_none(),
            Few::Sorted(few) => few.is_empty(),
            // It is given up when it is emptied.
            Few::Many(_) => false,
        }
    }
}

impl<K, V> Few<K, V> {
    /// All values, in the order of their keys.
    pub(crate) fn into_values(self) -> Vec<V> {
        match self {
            Few::One(one) => one.into_iter().map(|(_, value)| value).collect(),
            Few::Sorted(few) => few.into_iter().map(|(_, value)| value).collect(),
            Few::Many(many) => many.into_values().collect(),
        }
    }
}

impl<K: Ord + Copy, V> Few<K, V> {
    /// All keys, in order.
    pub(crate) fn keys(&self) -> Box<dyn Iterator<Item = K> + '_> {
        match self {
            Few::One(one) => Box::new(one.iter().map(|(key, _)| *key)),
            Few::Sorted(few) => Box::new(few.iter().map(|(key, _)| *key)),
            Few::Many(many) => Box::new(many.keys().copied()),
        }
    }

    /// The first key.
    pub(crate) fn first(&self) -> Option<K> {
        match self {
            Few::One(one) => one.as_ref().map(|(key, _)| *key),
            Few::Sorted(few) => few.first().map(|(key, _)| *key),
            Few::Many(many) => many.keys().next().copied(),
        }
    }
}

fn place<K: Ord, V>(few: &[(K, V)], key: &K) -> Result<usize, usize> {
    // What comes in is mostly the newest, and what is asked for as well.
    match few.last() {
        None => Err(0),
        Some((last, _)) if last < key => Err(few.len()),
        Some((last, _)) if last == key => Ok(few.len() - 1),
        Some(_) => few.binary_search_by(|(at, _)| at.cmp(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_map_with_few_entries_and_with_many() {
        let mut map = Few::default();
        let mut model = BTreeMap::new();
        let mut state = 1u32;
        for round in 0..4000u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // It fills beyond the limit, is emptied, and fills again.
            let (key, fills) = (state >> 16 & 31, round / 200 % 2 == 0);
            if fills || round % 7 == 0 {
                assert_eq!(map.insert(key, round), model.insert(key, round));
            } else {
                assert_eq!(map.remove(key), model.remove(&key));
            }
            assert_eq!((map.first(), map.is_empty()), (model.keys().next().copied(), model.is_empty()));
            assert!(map.keys().eq(model.keys().copied()));
            for key in 0..32 {
                assert_eq!(map.get(key), model.get(&key));
                assert_eq!(map.get_mut(key), model.get_mut(&key));
            }
            if round % 100 == 0 {
                let values: Vec<u32> = model.values().copied().collect();
                assert_eq!(std::mem::take(&mut map).into_values(), values);
                map = model.iter().fold(Few::default(), |mut map, (key, value)| {
                    map.insert(*key, *value);
                    map
                });
            }
        }
    }
}
