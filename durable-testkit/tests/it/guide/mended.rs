use durable::prelude::*;
use durable_testkit::{Service, Test};

#[activity]
async fn charge(State(bank): State<Service>, order: u32) -> Result<String, String> {
    let key = durable::activity::idempotency_key();
    let receipt = bank.call_once(key, format!("charge for order {order}"), || format!("receipt {order}")).await?;
    Ok(receipt)
}

#[workflow]
async fn checkout(order: u32) -> durable::Result<String> {
    let receipt = charge(order).await?;
    durable::sleep(Duration::from_secs(3600)).await; // time to change one's mind
    Ok(receipt)
}

fn an_order_is_charged_once() {
    let bank = Service::new("bank");
    Test::of((checkout, charge)).service(&bank).crash_everywhere(async |t| {
        let run = t.start(checkout(7)).id("order-7").await?;
        Ok(run.result().await?)
    });
}
