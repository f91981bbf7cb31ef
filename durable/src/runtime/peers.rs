//! Several drivers of one store: which of them drives a run, what they lend each other, and how many attempts each may have in flight. Runs are
//! divided by their ids, with their families: a child's id begins with its parent's, so that what stands before the first `/` is one family's.
//! Nothing that a run does concerns a run of another driver. The first driver writes the checkpoints, for which the others lend it their tables,
//! and closes the store.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use siphasher::sip::SipHasher13;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::request::{Message, Peer};
use crate::kernel::event::Text;
use crate::kernel::tables::Tables;

/// Which of so many drivers has the runs of this id. It is stored nowhere: another open may divide them otherwise.
pub(super) fn home(namespace: &Text, id: &Text, drivers: usize) -> usize {
    if drivers <= 1 {
        return 0;
    }
    let family = id.as_str().split('/').next().unwrap_or_default();
    let mut hasher = SipHasher13::new();
    hasher.write_usize(namespace.len());
    hasher.write(namespace.as_str().as_bytes());
    hasher.write(family.as_bytes());
    usize::try_from(hasher.finish() % drivers as u64).unwrap_or_default()
}

/// A driver's tables, lent to the first driver. The lender does nothing until they are back.
pub(crate) struct Lent {
    pub(super) tables: Tables,
    /// Why the lender's tables are not what was appended, if they are not.
    pub(super) failed: Option<Text>,
    pub(super) back: oneshot::Sender<Returned>,
}

/// How lent tables come back.
pub(crate) enum Returned {
    /// The lender goes on.
    GoOn(Tables),
    /// The store is closed, or could not be.
    Closed(Tables, Result<(), Text>),
}

impl Lent {
    /// Gives them back. A lender that is gone does not need them.
    pub(super) fn go_on(self) {
        let _is_gone = self.back.send(Returned::GoOn(self.tables));
    }

    /// Gives them back, with the end of the store.
    pub(super) fn closed(self, closed: Result<(), Text>) {
        let _is_gone = self.back.send(Returned::Closed(self.tables, closed));
    }
}

/// A driver among its peers.
#[derive(Clone)]
pub(crate) struct Peers {
    me: usize,
    /// The ways to all drivers, this one among them.
    ways: Arc<[UnboundedSender<Message>]>,
    slots: Arc<Shared>,
}

impl Peers {
    pub(super) fn new(me: usize, ways: Arc<[UnboundedSender<Message>]>, slots: Arc<Shared>) -> Peers {
        Peers { me, ways, slots }
    }

    /// Whether there are no others.
    pub(super) fn is_alone(&self) -> bool {
        self.ways.len() == 1
    }

    pub(super) fn is_first(&self) -> bool {
        self.me == 0
    }

    /// The ways to the others.
    pub(super) fn others(&self) -> impl Iterator<Item = &UnboundedSender<Message>> {
        self.ways.iter().enumerate().filter(|(number, _)| *number != self.me).map(|(_, way)| way)
    }

    /// Tells the others something. One that is gone has no need of it.
    pub(super) fn tell_others(&self, message: impl Fn() -> Peer) {
        self.others().for_each(|way| drop(way.send(Message::Peer(message()))));
    }

    /// Tells the first driver something.
    pub(super) fn tell_first(&self, message: Peer) {
        let _is_gone = self.ways.first().map(|way| way.send(Message::Peer(message)));
    }

    /// Has the others lend their tables. None if one of them is gone: the rest have theirs back then.
    pub(super) async fn borrow(&self, closing: bool) -> Option<Vec<Lent>> {
        let ask = |way: &UnboundedSender<Message>| {
            let (to, lent) = oneshot::channel();
            // One that is gone drops its end.
            drop(way.send(Message::Peer(Peer::Lend { to, closing })));
            lent
        };
        let asked: Vec<_> = self.others().map(ask).collect();
        let many = asked.len();
        let mut all = Vec::with_capacity(many);
        for lent in asked {
            all.extend(lent.await.ok());
        }
        if all.len() < many {
            all.drain(..).for_each(Lent::go_on);
            return None;
        }
        Some(all)
    }

    /// Waits until the others are gone.
    pub(super) async fn wait_for_others(&self) {
        for way in self.others() {
            way.closed().await;
        }
    }

    /// Takes slots for so many attempts more than the `held` that are here. If there are none the others are told that some are wanted here.
    pub(super) fn take_slots(&self, wanted: usize, held: usize) -> usize {
        match self.slots.take(self.me, wanted, self.share().saturating_sub(held)) {
            Taken::Some(slots) => slots,
            Taken::Waits { since_now } => {
                if since_now {
                    self.tell_others(|| Peer::Slots);
                }
                0
            }
        }
    }

    /// No slots are wanted here.
    pub(super) fn want_no_slots(&self) {
        if self.slots.wanted_by.load(Ordering::SeqCst) & bit(self.me) != 0 {
            self.slots.wanted_by.fetch_and(!bit(self.me), Ordering::SeqCst);
        }
    }

    /// Whether others want slots.
    pub(super) fn others_want_slots(&self) -> bool {
        self.slots.wanted_by.load(Ordering::SeqCst) & !bit(self.me) != 0
    }

    /// Gives slots up for those who want some.
    pub(super) fn give_slots(&self, slots: usize) {
        let wanted_by = self.slots.put(slots);
        let wants =
            self.ways.iter().enumerate().filter(|(number, _)| *number != self.me && wanted_by & bit(*number) != 0);
        wants.for_each(|(_, way)| drop(way.send(Message::Peer(Peer::Slots))));
    }

    /// How many slots a driver keeps while others want some.
    pub(super) fn share(&self) -> usize {
        self.slots.all / self.ways.len()
    }

    /// Something was written here.
    pub(super) fn note_write(&self) {
        self.slots.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// How often something was written, here or by others.
    pub(super) fn writes(&self) -> u64 {
        self.slots.writes.load(Ordering::Relaxed)
    }
}

/// The most drivers that a store has: each has a bit.
pub(super) const MANY: usize = 64;

fn bit(driver: usize) -> u64 {
    1 << driver
}

/// What all drivers of a store share: the slots for attempts that no driver has, and how often they wrote.
#[derive(Debug)]
pub(super) struct Shared {
    all: usize,
    free: Mutex<usize>,
    /// The drivers that want some, a bit each, until they have got some or want none.
    wanted_by: AtomicU64,
    writes: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Some(usize),
    /// There are none; who wants some is told when there are.
    Waits {
        since_now: bool,
    },
}

impl Shared {
    /// So many slots in all, each of which a driver has.
    pub(super) fn new(slots: usize) -> Shared {
        Shared { all: slots, free: Mutex::default(), wanted_by: AtomicU64::new(0), writes: AtomicU64::new(0) }
    }

    /// How many of them this one of so many drivers begins with.
    pub(super) fn of_driver(&self, number: usize, drivers: usize) -> usize {
        self.all / drivers + usize::from(number < self.all % drivers)
    }

    /// Takes as many as are wanted and free; while others want some too, at most so many as `below_share` says.
    fn take(&self, who: usize, wanted: usize, below_share: usize) -> Taken {
        let mut free = self.free();
        let others = self.wanted_by.load(Ordering::SeqCst) & !bit(who) != 0;
        let taken = wanted.min(*free).min(if others { below_share } else { usize::MAX });
        if taken > 0 {
            *free -= taken;
            self.wanted_by.fetch_and(!bit(who), Ordering::SeqCst);
            return Taken::Some(taken);
        }
        let before = self.wanted_by.fetch_or(bit(who), Ordering::SeqCst);
        Taken::Waits { since_now: before & bit(who) == 0 }
    }

    /// Gives who wants some.
    fn put(&self, slots: usize) -> u64 {
        let mut free = self.free();
        *free += if planted!(74) { 0 } else { slots };
        self.wanted_by.load(Ordering::SeqCst)
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_family_has_one_home() {
        let home_of = |id: &str| home(&"".into(), &id.into(), 4);
        let homes: BTreeSet<usize> = (0..100).map(|number| home_of(&format!("order-{number}"))).collect();
        assert_eq!(homes.len(), 4);
        for number in 0..100 {
            let root = format!("order-{number}");
            assert_eq!(home_of(&root), home_of(&format!("{root}/3/refund")));
        }
        assert_eq!(home(&"".into(), &"any".into(), 1), 0);
    }

    #[test]
    fn slots_are_neither_lost_nor_made() {
        let slots = Shared::new(7);
        assert_eq!((0..3).map(|number| slots.of_driver(number, 3)).collect::<Vec<_>>(), [3, 2, 2]);
        assert_eq!(slots.take(1, 5, 2), Taken::Waits { since_now: true });
        assert_eq!(slots.take(1, 5, 2), Taken::Waits { since_now: false });
        assert_eq!(slots.put(3), bit(1));
        assert_eq!(
            slots.take(0, 5, 0),
            Taken::Waits { since_now: true },
            "another one wants some, and this one has its share"
        );
        assert_eq!(slots.take(1, 2, 2), Taken::Some(2));
        assert_eq!(slots.take(0, 5, 0), Taken::Some(1), "nobody else wants some");
        assert_eq!((slots.put(0), *slots.free()), (0, 0));
    }
}
