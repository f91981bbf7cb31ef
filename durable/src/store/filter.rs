//! A filter of the ids of closed runs: it may say "perhaps" of an id that was never added, never "no" of one that was.
//! The store asks it before a run of an id that the index does not know is created. It never touches a file; its bytes
//! stand in a checkpoint, and decoding them never panics and never takes more memory than they do.
//!
//! Layers of Bloom filters, each taking twice the ids of the one before, so that it grows without knowing the ids that it
//! holds. Every layer spends one bit an id more than the one before and is thus wrong less often by a third, which
//! bounds the sum: under one false "perhaps" in a million, whatever the number of ids. Each costs a search of the whole log.

/// The bits that the first layer has for each id that it takes; each layer has one more than the one before.
const FIRST_LAYER_BITS_PER_ID: u64 = 32;
/// The ids that the first layer takes.
const FIRST_LAYER_IDS: u64 = 1024;
/// The multiplier of the linear congruential generator of Knuth's MMIX (The Art of Computer Programming, volume 2, 3.3.4), modulo 2^64.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
/// The layers that a filter may have: each is twice the one before, so that this is never reached.
const LAYERS_MAX: usize = 32;

/// One Bloom filter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer {
    ids: u64,
    /// How many places an id sets.
    probes: u8,
    words: Vec<u64>,
}

impl Layer {
    fn number(number: usize) -> Self {
        let words =
            usize::try_from(words_of(number)).expect("because a layer is not begun before the one below is full");
        Self { ids: 0, probes: probes(number), words: vec![0; words] }
    }

    /// The hash's lower half is where a generator of random numbers begins, the upper one which of them it is, and each number, as a fraction
    /// of 2^64, is a place. Two ids that share a place thus share the others by chance alone. Steps of one width, modulo the bits, would not do: in
    /// a small layer ids whose steps are as wide would share nearly all of them, once in 100,000, however many bits each has.
    fn places(&self, id: [u8; 16]) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (low, high) = halves(u128::from_le_bytes(id));
        let bits = (self.words.len() as u64).saturating_mul(64);
        let next = move |number: &u64| Some(number.wrapping_mul(MULTIPLIER).wrapping_add(high | 1));
        let numbers = std::iter::successors(Some(low), next).take(usize::from(self.probes));
        numbers.map(move |number| {
            let (_, bit) = halves(u128::from(number) * u128::from(bits));
            (usize::try_from(bit / 64).unwrap_or(usize::MAX), 1 << (bit % 64))
        })
    }

    fn contains(&self, id: [u8; 16]) -> bool {
        self.places(id).all(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    fn insert(&mut self, id: [u8; 16]) {
        for (word, bit) in self.places(id) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
        self.ids = self.ids.saturating_add(1);
    }
}

/// The lower and the upper half.
fn halves(both: u128) -> (u64, u64) {
    let low = both & u128::from(u64::MAX);
    let narrow = |half: u128| u64::try_from(half).expect("because half of 128 bits are 64");
    (narrow(low), narrow(both >> 64))
}

/// The ids that a layer takes before the next one is begun.
fn capacity(layer: usize) -> u64 {
    u32::try_from(layer).ok().and_then(|doublings| FIRST_LAYER_IDS.checked_shl(doublings)).unwrap_or(u64::MAX)
}

fn bits_per_id(layer: usize) -> u64 {
    FIRST_LAYER_BITS_PER_ID.saturating_add(layer as u64)
}

fn words_of(layer: usize) -> u64 {
    capacity(layer).saturating_mul(bits_per_id(layer)).div_ceil(64)
}

/// The number that is wrong least often: bits an id times ln 2.
fn probes(layer: usize) -> u8 {
    u8::try_from(bits_per_id(layer).saturating_mul(693) / 1000).unwrap_or(u8::MAX)
}

/// A set of 16-byte hashes of ids, without false negatives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    layers: Vec<Layer>,
}

impl Filter {
    /// A filter of no ids.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an id.
    pub fn insert(&mut self, id: [u8; 16]) {
        if self.contains(id) {
            return;
        }
        let last = self.layers.len().saturating_sub(1);
        if self.layers.last().is_none_or(|layer| layer.ids >= capacity(last)) && self.layers.len() < LAYERS_MAX {
            self.layers.push(Layer::number(self.layers.len()));
        }
        if let Some(layer) = self.layers.last_mut() {
            layer.insert(id);
        }
    }

    /// Whether the id may have been added: false is certain.
    #[must_use]
    pub fn contains(&self, id: [u8; 16]) -> bool {
        self.layers.iter().rev().any(|layer| layer.contains(id))
    }

    /// Appends the filter: the count of layers (1 byte), of each the ids in it (u64), then the bits of each (u64 words);
    /// all little endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.layers.len()).expect("because there are at most 32 layers"));
        self.layers.iter().for_each(|layer| out.extend_from_slice(&layer.ids.to_le_bytes()));
        let words = self.layers.iter().flat_map(|layer| &layer.words);
        words.for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }

    /// The filter that these bytes are, all of them; `None` if they are none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (count, mut rest) = bytes.split_first()?;
        let count = usize::from(*count);
        if count > LAYERS_MAX {
            return None;
        }
        let ids: Vec<u64> = (0..count).map(|_| take_u64(&mut rest)).collect::<Option<_>>()?;
        let layers = ids.into_iter().enumerate().map(|(number, ids)| decode_layer(number, ids, &mut rest));
        let layers = layers.collect::<Option<Vec<_>>>()?;
        rest.is_empty().then_some(Self { layers })
    }
}

fn decode_layer(number: usize, ids: u64, rest: &mut &[u8]) -> Option<Layer> {
    let bytes = usize::try_from(words_of(number).checked_mul(8)?).ok()?;
    let (mine, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    let words = mine.chunks_exact(8).filter_map(|mut chunk| take_u64(&mut chunk)).collect();
    Some(Layer { ids, probes: probes(number), words })
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An id as the store hashes them: spread evenly.
    fn id(number: u64) -> [u8; 16] {
        use siphasher::sip128::{Hasher128, SipHasher13};
        let mut hasher = SipHasher13::new_with_keys(1, 2);
        std::hash::Hasher::write_u64(&mut hasher, number);
        hasher.finish128().as_bytes()
    }

    fn filter_of(ids: std::ops::Range<u64>) -> Filter {
        let mut filter = Filter::new();
        ids.for_each(|number| filter.insert(id(number)));
        filter
    }

    #[test]
    fn it_grows_without_losing_an_id_and_seldom_says_perhaps_for_nothing() {
        let filter = filter_of(0..20_000);
        assert!((0..20_000).all(|number| filter.contains(id(number))));
        let wrong = (1_000_000..1_400_000).filter(|number| filter.contains(id(*number))).count();
        assert_eq!(wrong, 0, "of 400,000 are false: one in 1.8 million is to be expected");
        let mut bytes = Vec::new();
        filter.encode(&mut bytes);
        assert!(bytes.len() < 20_000 * 8, "{} bytes", bytes.len());
        assert_eq!(Filter::decode(&bytes), Some(filter));
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        assert!(!Filter::new().contains([0; 16]));
        assert_eq!(Filter::decode(&[0]), Some(Filter::new()));
    }

    #[test]
    fn bytes_that_are_no_filter_are_refused() {
        let mut bytes = Vec::new();
        filter_of(0..2000).encode(&mut bytes);
        assert_eq!(Filter::decode(&bytes[..bytes.len() - 1]), None);
        bytes.push(0);
        assert_eq!(Filter::decode(&bytes), None);
        assert_eq!(Filter::decode(&[]), None);
        assert_eq!(Filter::decode(&[255; 4000]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_id_that_was_added_is_denied(ids in prop::collection::vec(any::<[u8; 16]>(), 0..3000)) {
            let mut filter = Filter::new();
            ids.iter().for_each(|id| filter.insert(*id));
            prop_assert!(ids.iter().all(|id| filter.contains(*id)));
            let mut bytes = Vec::new();
            filter.encode(&mut bytes);
            let decoded = Filter::decode(&bytes);
            prop_assert_eq!(decoded, Some(filter));
        }

        #[test]
        fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), layers in 0..40_u8) {
            let mut with_a_count = vec![layers];
            with_a_count.extend(bytes);
            let _outcome = Filter::decode(&with_a_count);
        }
    }
}
