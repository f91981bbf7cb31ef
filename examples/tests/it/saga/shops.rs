//! The shops that are put to the test: the example's own, and some that are built less well. What each makes and undoes is in its
//! workflow alone; they share the activities.

use durable::prelude::*;
use durable::{Registry, RetryPolicy};

use super::play::{Flow, Shop};
use crate::checkout::service::Card;
use crate::checkout::shop::{
    self, APPROVAL, CheckoutError, Order, charge, recall, refund, refund_order, release, reserve, ship,
};

pub(super) fn order() -> Order {
    Order {
        id: "order".to_owned(),
        items: vec!["lamp".to_owned(), "desk".to_owned()],
        card: Card::Good,
        address: "Ada, 1 Analytical Row".to_owned(),
        approval_within: Duration::from_secs(40),
    }
}

/// The example's.
pub(super) const EXAMPLE: Shop = Shop {
    build: "example",
    flow: Flow::OneByOne,
    registry: shop::all,
    start: |runtime| runtime.start(shop::checkout(order())).id("order").into_future(),
};

/// As the example's, but it asks for the money twice at most.
pub(super) const BRIEF: Shop = Shop {
    build: "brief",
    flow: Flow::OneByOne,
    registry: || Registry::of((brief::checkout, reserve, charge, ship, release, refund, refund_order, recall)),
    start: |runtime| runtime.start(brief::checkout(order())).id("order").into_future(),
};

/// As brief, but it gives a refund up at the second try too, and knows no refund by order.
pub(super) const PLAIN: Shop = Shop {
    build: "plain",
    flow: Flow::OneByOne,
    registry: || Registry::of((plain::checkout, reserve, charge, ship, release, refund, recall)),
    start: |runtime| runtime.start(plain::checkout(order())).id("order").into_future(),
};

/// It holds and charges at once: of the two, one may be in flight when the other fails.
pub(super) const AT_ONCE: Shop = Shop {
    build: "at once",
    flow: Flow::AtOnce,
    registry: || Registry::of((at_once::checkout, reserve, charge, ship, release, refund, refund_order, recall)),
    start: |runtime| runtime.start(at_once::checkout(order())).id("order").into_future(),
};

/// It asks for the money at most once.
pub(super) const AT_MOST_ONCE: Shop = Shop {
    build: "at most once",
    flow: Flow::OneByOne,
    registry: || Registry::of((at_most_once::checkout, reserve, charge, ship, release, refund, refund_order, recall)),
    start: |runtime| runtime.start(at_most_once::checkout(order())).id("order").into_future(),
};

/// It has less time than it waits for an approval.
pub(super) const LIMITED: Shop = Shop {
    build: "limited",
    flow: Flow::OneByOne,
    registry: || Registry::of((limited::checkout, reserve, charge, ship, release, refund, refund_order, recall)),
    start: |runtime| runtime.start(limited::checkout(order())).id("order").into_future(),
};

/// A mistake that a check has to find: the charge has no undo.
pub(super) const FORGETS: Shop = Shop {
    build: "forgets",
    flow: Flow::OneByOne,
    registry: || Registry::of((forgets::checkout, reserve, charge, ship, release, recall)),
    start: |runtime| runtime.start(forgets::checkout(order())).id("order").into_future(),
};

fn twice() -> RetryPolicy {
    durable::retry::fixed("1s").max_attempts(2)
}

/// Whether it is approved in time.
async fn is_approved(order: &Order) -> bool {
    select! {
        answer = APPROVAL.recv() => answer.yes,
        () = durable::sleep(order.approval_within) => false,
    }
}

mod brief {
    use super::*;

    #[workflow]
    pub(in super::super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items.clone()).undo(|hold| release(hold.id)).await?;
        let charge = charge(order.card, hold.total).retry(twice());
        let receipt = charge.undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
        if !is_approved(&order).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

mod plain {
    use super::*;

    #[workflow]
    pub(in super::super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items.clone()).undo(|hold| release(hold.id)).await?;
        let charge = charge(order.card, hold.total).retry(twice());
        let receipt = charge.undo(|receipt| refund(receipt.id).retry(twice())).await?;
        if !is_approved(&order).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

mod at_once {
    use super::*;

    #[workflow]
    pub(in super::super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = async { Ok(reserve(order.items.clone()).undo(|hold| release(hold.id)).await?) };
        let charge = charge(order.card, 8400).retry(twice());
        let charge = charge.undo(|receipt| refund(receipt.id)).undo_unknown(refund_order());
        let (hold, receipt) = try_join!(hold, async { Ok::<_, CheckoutError>(charge.await?) })?;
        if !is_approved(&order).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

mod at_most_once {
    use super::*;

    #[workflow]
    pub(in super::super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items.clone()).undo(|hold| release(hold.id)).await?;
        let charge = charge(order.card, hold.total).at_most_once();
        let receipt = charge.undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
        if !is_approved(&order).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

mod limited {
    use super::*;

    #[workflow(timeout = "20s")]
    pub(in super::super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items.clone()).undo(|hold| release(hold.id)).await?;
        let charge = charge(order.card, hold.total);
        let receipt = charge.undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
        if !is_approved(&order).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}

mod forgets {
    use super::*;

    #[workflow]
    pub(in super::super) async fn checkout(order: Order) -> Result<String, CheckoutError> {
        let hold = reserve(order.items.clone()).undo(|hold| release(hold.id)).await?;
        let receipt = charge(order.card, hold.total).await?;
        if !is_approved(&order).await {
            return Err(CheckoutError::NotApproved);
        }
        ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
        Ok(receipt.id)
    }
}
