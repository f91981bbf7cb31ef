//! The checkout is deployed anew while an order is in flight. What an order recorded under the old code is, or is not, what the new code
//! asks for; each shop here is a build of its own, and its workflow and activities go by the old names.

use std::io;
use std::sync::{Arc, Mutex};

use durable::Registry;
use durable::prelude::*;
use expect_test::{Expect, expect};

use super::ends::faults;
use super::partners::{Charging, Habits, Line, Partners, Post, Refunding};
use super::play::{Act, After, Case, Flow, How, Residence, Seen, Shop, Stage, play};
use super::shops::{EXAMPLE, order};
use crate::checkout::client::Outside;
use crate::checkout::service::{Card, ChargeRequest, Named};
use crate::checkout::shop::{
    APPROVAL, Approval, ChargeError, CheckoutError, Order, charge, recall, refund, refund_order, release, reserve, ship,
};

/// As it is recorded: the example's own.
const OLD: Case = Case {
    name: "old",
    shop: EXAMPLE,
    habits: Habits { charging: Charging::Takes, refunding: Refunding::Refunds, post: Post::Late },
    approved: Some(true),
    residence: Residence::Stays,
    seed: None,
};

async fn is_approved(within: Duration) -> bool {
    let answer: Approval = select! {
        answer = APPROVAL.recv() => answer,
        () = durable::sleep(within) => Approval { yes: false },
    };
    answer.yes
}

/// Whether the address is one.
#[activity]
async fn verify(address: String) -> Result<(), String> {
    if address.is_empty() { Err("no address".to_owned()) } else { Ok(()) }
}

mod inserted {
    //! A step is put in front of the charge.

    use super::*;

    #[workflow]
    pub(super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items).undo(|hold| release(hold.id)).await?;
        verify(order.address.clone()).await.map_err(|_| CheckoutError::NotApproved)?;
        let receipt =
            charge(order.card, hold.total).undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
        if !is_approved(order.approval_within).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

mod inserted_ahead {
    //! The same, behind what any order in flight has come to.

    use super::*;

    #[workflow]
    pub(super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items).undo(|hold| release(hold.id)).await?;
        let receipt =
            charge(order.card, hold.total).undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
        if !is_approved(order.approval_within).await {
            return Err(CheckoutError::NotApproved);
        }
        verify(order.address.clone()).await.map_err(|_| CheckoutError::NotApproved)?;
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

mod removed {
    //! Nobody is charged.

    use super::*;

    #[workflow]
    pub(super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items).undo(|hold| release(hold.id)).await?;
        if !is_approved(order.approval_within).await {
            return Err(CheckoutError::NotApproved);
        }
        let parcel = ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(parcel.id)
    }
}

mod swapped {
    //! The charge comes first.

    use super::*;

    #[workflow]
    pub(super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let cents = 4200 * order.items.len() as u64;
        let receipt = charge(order.card, cents).undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
        let hold = reserve(order.items).undo(|hold| release(hold.id)).await?;
        if !is_approved(order.approval_within).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

mod renamed {
    //! What charges has another name.

    use super::*;

    #[activity(start_to_close = "2s", retry = exponential("100ms", 2.0).max_interval("1s").max_attempts(10))]
    pub(super) async fn pay(State(outside): State<Outside>, card: Card, cents: u64) -> Result<Named, ChargeError> {
        Ok(outside.ask("/charges", &ChargeRequest { card, cents }).await?)
    }

    #[workflow]
    pub(super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items).undo(|hold| release(hold.id)).await?;
        let receipt =
            pay(order.card, hold.total).undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
        if !is_approved(order.approval_within).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

mod field {
    //! The order and the charge get one more field each.

    use super::*;

    #[derive(Debug, Clone, Serialize, Deserialize)]
    pub(super) struct Order {
        pub(super) id: String,
        pub(super) items: Vec<String>,
        pub(super) card: Card,
        pub(super) address: String,
        pub(super) approval_within: Duration,
        #[serde(default)]
        pub(super) currency: Option<String>,
    }

    #[activity(start_to_close = "2s", retry = exponential("100ms", 2.0).max_interval("1s").max_attempts(10))]
    pub(super) async fn charge(
        State(outside): State<Outside>,
        card: Card,
        cents: u64,
        currency: Option<String>,
    ) -> Result<Named, ChargeError> {
        assert_eq!(currency, None, "no order of these has one");
        Ok(outside.ask("/charges", &ChargeRequest { card, cents }).await?)
    }

    #[workflow]
    pub(super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items).undo(|hold| release(hold.id)).await?;
        let charge = charge(order.card, hold.total, order.currency);
        let receipt = charge.undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
        if !is_approved(order.approval_within).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }

    pub(super) fn order() -> Order {
        let super::Order { id, items, card, address, approval_within } = super::order();
        Order { id, items, card, address, approval_within, currency: None }
    }
}

mod patient {
    //! The charge is tried less often, and each try may take longer.

    use super::*;

    #[workflow]
    pub(super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items).undo(|hold| release(hold.id)).await?;
        let charge = charge(order.card, hold.total).retry(durable::retry::fixed("7s").max_attempts(3));
        let charge = charge.start_to_close(Duration::from_secs(9));
        let receipt = charge.undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
        if !is_approved(order.approval_within).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

fn others() -> Registry {
    Registry::of((reserve, ship, release, refund, refund_order, recall))
}

macro_rules! shop {
    ($build:ident, $order:expr, $($activity:path),*) => {
        Shop {
            build: stringify!($build),
            flow: Flow::OneByOne,
            registry: || Registry::of((others(), $build::checkout, $($activity),*)),
            start: |runtime| runtime.start($build::checkout($order)).id("order").into_future(),
        }
    };
}

const INSERTED: Shop = shop!(inserted, order(), charge, verify);
const INSERTED_AHEAD: Shop = shop!(inserted_ahead, order(), charge, verify);
const REMOVED: Shop = shop!(removed, order(), charge);
const SWAPPED: Shop = shop!(swapped, order(), charge);
const RENAMED: Shop = shop!(renamed, order(), renamed::pay);
const FIELD: Shop = shop!(field, field::order(), field::charge);
const PATIENT: Shop = shop!(patient, order(), charge);

fn of(shop: Shop) -> Case {
    Case { name: shop.build, shop, ..OLD }
}

/// An order that waits for its approval, in a process that died half a second ago.
fn recorded() -> Stage {
    let stage = Stage::new(OLD.habits);
    stage.run_process(&OLD, &[Act::DieAfter(Duration::from_millis(500))]);
    assert_eq!(stage.ledger(), "  reserve\n  charge\n");
    stage
}

/// The new build parks the order, and does nothing; the old one goes on with it, also to be cancelled; terminated it is in any.
fn parks(shop: Shop, why: &Expect) {
    let parked = |stage: &Stage| {
        let seen = stage.run_process(&of(shop), &[]);
        let end = seen.end.clone().unwrap();
        assert_eq!((end.how, stage.ledger().as_str()), (How::Blocked, "  reserve\n  charge\n"), "{}", end.text);
        (without_lines(&end.text), seen)
    };
    let goes_on = |stage: Stage, seen: Seen, how: How| {
        let last = stage.run_process(&OLD, &[]);
        let played = stage.over(vec![seen, last]);
        assert_eq!(faults(&OLD, &played), Vec::<String>::new());
        assert_eq!(played.end.how, how);
    };
    let stage = recorded();
    let (text, seen) = parked(&stage);
    why.assert_eq(&text);
    goes_on(stage, seen, How::Sold);

    let stage = recorded();
    stage.want_cancel();
    let (_, seen) = parked(&stage);
    goes_on(stage, seen, How::Cancelled);

    let stage = recorded();
    stage.want_termination();
    let seen = stage.run_process(&of(shop), &[]);
    let played = stage.over(vec![seen]);
    assert_eq!(faults(&OLD, &played), Vec::<String>::new());
    assert_eq!(
        (played.end.how, played.end.not_undone),
        (How::Terminated, vec!["reserve".to_owned(), "charge".to_owned()])
    );
}

/// The order goes on in the new build; what the operator is told.
fn fits(shop: Shop, told: &Expect) {
    let stage = recorded();
    let (seen, warnings) = listening(|| stage.run_process(&of(shop), &[]));
    let played = stage.over(vec![seen]);
    assert_eq!(faults(&of(shop), &played), Vec::<String>::new());
    assert_eq!(played.end.how, How::Sold);
    told.assert_eq(&without_lines(&warnings));
}

/// A text whose places in this file are without their lines, which change.
fn without_lines(text: &str) -> String {
    let mut parts = text.split(".rs:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + ".rs:_" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// What is told to operators meanwhile.
fn listening<T>(f: impl FnOnce() -> T) -> (T, String) {
    let heard = Heard::default();
    let ear = heard.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false).without_time();
    let subscriber = subscriber.with_writer(move || ear.clone()).finish();
    let value = tracing::subscriber::with_default(subscriber, f);
    let bytes = heard.0.lock().unwrap().clone();
    let lines = String::from_utf8(bytes).unwrap();
    (value, lines.lines().map(|line| format!("{}\n", line.trim_start())).collect())
}

#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_step_that_is_inserted_parks_the_order() {
    parks(
        INSERTED,
        &expect![[r#"
        mismatch in workflow `checkout`, run order, at seq 2
          the journal holds     activity `charge` (seq 2) (build example)
          the code asks for     activity `verify` (seq 2) (examples/tests/it/saga/deploys.rs:_, build inserted)
          around it             1 activity `reserve`   2 activity `charge`   4 signal `approval`
          likely cause          calls were added, removed, swapped or changed while this run was in flight
          way out               finish the open runs on the build that recorded them, or bring the old order back
          the run is parked and nothing was lost; it goes on with a fitting binary [E0201]"#]],
    );
}

#[test]
fn a_step_that_is_removed_parks_the_order() {
    parks(
        REMOVED,
        &expect![[r#"
        mismatch in workflow `checkout`, run order, at seq 2
          the journal holds     activity `charge` (seq 2) (build example)
          the code asks for     signal `approval` (seq 2) (examples/tests/it/saga/deploys.rs:_, build removed)
          around it             1 activity `reserve`   2 activity `charge`   4 signal `approval`
          likely cause          calls were added, removed, swapped or changed while this run was in flight
          way out               finish the open runs on the build that recorded them, or bring the old order back
          the run is parked and nothing was lost; it goes on with a fitting binary [E0201]"#]],
    );
}

#[test]
fn steps_that_are_swapped_park_the_order() {
    parks(
        SWAPPED,
        &expect![[r#"
        mismatch in workflow `checkout`, run order, at seq 1
          the journal holds     activity `reserve` (seq 1) (build example)
          the code asks for     activity `charge` (seq 1) (examples/tests/it/saga/deploys.rs:_, build swapped)
          around it             1 activity `reserve`   2 activity `charge`
          likely cause          calls were added, removed, swapped or changed while this run was in flight
          way out               finish the open runs on the build that recorded them, or bring the old order back
          the run is parked and nothing was lost; it goes on with a fitting binary [E0201]"#]],
    );
}

#[test]
fn a_step_that_is_renamed_parks_the_order() {
    parks(
        RENAMED,
        &expect![[r#"
        mismatch in workflow `checkout`, run order, at seq 2
          the journal holds     activity `charge` (seq 2) (build example)
          the code asks for     activity `pay` (seq 2) (examples/tests/it/saga/deploys.rs:_, build renamed)
          around it             1 activity `reserve`   2 activity `charge`   4 signal `approval`
          likely cause          calls were added, removed, swapped or changed while this run was in flight
          way out               finish the open runs on the build that recorded them, or bring the old order back
          the run is parked and nothing was lost; it goes on with a fitting binary [E0201]"#]],
    );
}

#[test]
fn a_field_that_is_added_lets_the_order_go_on() {
    fits(
        FIELD,
        &expect![[r#"
             WARN durable::runtime: the start's input has another shape than the stored one: the stored run stands [E0211] id=order
             WARN durable::runtime::driver: the input of `charge` (seq 2) has another shape in this build; what was recorded stands [E0211] workflow=checkout id=order
        "#]],
    );
}

#[test]
fn another_retry_policy_lets_the_order_go_on() {
    fits(PATIENT, &expect![[""]]);
}

#[test]
fn a_step_that_is_inserted_ahead_of_the_order_lets_it_go_on() {
    fits(INSERTED_AHEAD, &expect![[""]]);
}

#[test]
fn a_charge_that_was_made_and_not_recorded_is_asked_for_again_under_its_key() {
    let moments = play(&OLD, &[&[]]).seen.remove(0).moments;
    let crashes = moments.iter().flat_map(|moment| [(*moment, After::Crash), (*moment, After::PowerCut)]);
    let mut again = 0;
    for (moment, after) in crashes {
        let stage = Stage::new(OLD.habits);
        let first = stage.run_process(&OLD, &[Act::DieAtPoll(moment, after)]);
        let charged = stage.partners.ledger().contains(&Line::Made("charge"));
        let last = stage.run_process(&of(FIELD), &[]);
        let played = stage.over(vec![first, last]);
        assert_eq!((faults(&of(FIELD), &played), played.end.how), (Vec::new(), How::Sold), "before poll {moment}");
        again += usize::from(charged && is_asked_twice(&played.partners));
    }
    assert!(again > 0);
    println!("{again} crashes between the charge and its record: the same key, one charge");
}

/// Whether the bank was asked for the money twice, under one key; [`faults`] sees to it that it was taken once.
fn is_asked_twice(partners: &Partners) -> bool {
    let keys = partners.keys("/charges");
    assert!(keys.iter().all(|key| *key == keys[0]));
    keys.len() > 1
}
