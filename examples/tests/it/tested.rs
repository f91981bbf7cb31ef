//! The checkout, tested as a user of the testkit tests a workflow: `docs/testing.md` is the guide.

use std::time::Duration;

use durable::SignalError;
use durable::activity::idempotency_key;
use durable_testkit::{App, Service, Test};

use crate::checkout::service::{Card, Hold, Named};
use crate::checkout::shop::{self, APPROVAL, Approval, ChargeError, CheckoutError, Order, checkout};

fn order() -> Order {
    Order {
        id: "order-42".to_owned(),
        items: vec!["lamp".to_owned()],
        card: Card::Good,
        address: "1 Analytical Row".to_owned(),
        approval_within: Duration::from_secs(48 * 3600),
    }
}

/// The shop, with one service in the place of warehouse, bank and carrier.
fn test(outside: &Service) -> Test<'_> {
    let named = async |what: &str, id: &str| {
        let id = id.to_owned();
        Ok(outside.call_once(idempotency_key(), what, || Named { id: id.clone() }.id).await.map(|id| Named { id })?)
    };
    let undone = async |what: String| Ok(outside.call_once(idempotency_key(), what, || ()).await?);
    Test::of(shop::all())
        .double(shop::reserve, async |_: Vec<String>| Ok(Hold { id: "hold-1".to_owned(), total: 8400 }))
        .double(shop::charge, async move |_: Card, _: u64| {
            named("charge", "charge-1").await.map_err(|error: durable::Error| ChargeError::Bank(error.to_string()))
        })
        .double(shop::ship, async move |_: String, _: String| {
            let id = outside.call_once(idempotency_key(), "ship", || "parcel-1".to_owned()).await?;
            Ok(Named { id })
        })
        .double(shop::release, async move |hold: String| undone(format!("release {hold}")).await)
        .double(shop::refund, async move |charge: String| undone(format!("refund {charge}")).await)
        .double(shop::refund_order, async move || undone("refund the order".to_owned()).await)
        .double(shop::recall, async move |parcel: String| undone(format!("recall {parcel}")).await)
}

async fn sell(t: &App, approval: Option<bool>) -> durable::Result<Result<String, String>> {
    let run = t.start(checkout(order())).id("order-42").await?;
    if let Some(yes) = approval {
        match run.signal_once(APPROVAL, Approval { yes }, "approval").await {
            // The scenario is played again behind a crash, and the order may be sold by then.
            Ok(()) | Err(SignalError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(run.result().await.map_err(|error| error.to_string()))
}

#[test]
fn an_order_is_charged_and_shipped_once_wherever_the_shop_crashes() {
    let outside = Service::new("outside");
    test(&outside).crash_everywhere(async |t| {
        assert_eq!(sell(&t, Some(true)).await?, Ok("charge-1".to_owned()));
        outside.assert_effects(["charge", "ship"]);
        Ok(())
    });
}

#[test]
fn an_order_that_nobody_approves_is_undone_wherever_the_shop_crashes() {
    let outside = Service::new("outside");
    test(&outside).crash_everywhere(async |t| {
        assert_eq!(sell(&t, None).await?, Err(CheckoutError::NotApproved.to_string()));
        outside.assert_effects(["charge", "refund charge-1", "release hold-1"]);
        Ok(())
    });
}
