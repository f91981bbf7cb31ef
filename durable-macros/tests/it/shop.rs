//! The shop of the quick start: the surface as the documentation shows it.

use durable::prelude::*;
use durable::{Retryable, fatal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub items: Vec<String>,
    pub card: Card,
    pub address: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Card(pub String);

pub(crate) type Cents = u64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub id: String,
    pub total: Cents,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub id: u32,
    pub total: Cents,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, Retryable, PartialEq)]
pub(crate) enum ChargeError {
    #[error("card declined")]
    #[retry(never)]
    Declined,
    #[error("provider: {0}")]
    Provider(String),
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, PartialEq)]
#[error("out of stock")]
pub(crate) struct StockError;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum CheckoutError {
    #[error(transparent)]
    Charge(#[from] CallError<ChargeError>),
    #[error(transparent)]
    Stock(#[from] CallError<StockError>),
    #[error("not approved")]
    NotApproved,
}

#[derive(Debug, Clone)]
pub(crate) struct Psp {
    pub declines: bool,
}

impl Psp {
    async fn charge(&self, card: Card, total: Cents, key: String) -> Result<Receipt, ChargeError> {
        if self.declines {
            return Err(ChargeError::Declined);
        }
        Ok(Receipt { id: format!("{}/{key}", card.0), total })
    }
}

/// Takes the money.
#[activity(start_to_close = "30s", retry = exponential("100ms", 2.0).max_interval("10s").max_attempts(5))]
pub(crate) async fn charge(State(psp): State<Psp>, card: Card, total: Cents) -> Result<Receipt, ChargeError> {
    psp.charge(card, total, durable::activity::idempotency_key()).await
}

#[activity]
pub(crate) async fn reserve(items: Vec<String>) -> Result<Hold, StockError> {
    if items.is_empty() {
        return Err(StockError);
    }
    Ok(Hold { id: 7, total: 100 * items.len() as Cents })
}

#[activity(at_most_once)]
async fn ship(hold: u32, address: String) -> durable::Result<()> {
    if address.is_empty() {
        return Err(fatal("no address").into());
    }
    let _: u32 = hold;
    Ok(())
}

#[workflow(version = 2, timeout = "30d")]
pub(crate) async fn checkout(order: Order) -> Result<Receipt, CheckoutError> {
    let hold = reserve(order.items.clone()).await?;
    let mut charged = charge(order.card, hold.total);
    let receipt = select! {
        receipt = &mut charged => receipt?,
        () = std::future::pending() => return Err(CheckoutError::NotApproved),
    };
    let (shipped,) = join!(ship(hold.id, order.address));
    shipped.map_err(|_| CheckoutError::NotApproved)?;
    Ok(receipt)
}

pub(crate) fn all() -> durable::Registry {
    durable::Registry::of((checkout, reserve, charge, ship))
}

#[test]
fn the_shop_registers_under_the_functions_names() {
    let registry = all();
    let activities: Vec<_> = registry.activities().map(|entry| entry.name.as_str()).collect();
    assert_eq!(activities, ["charge", "reserve", "ship"]);
    let workflows: Vec<_> = registry.workflows().map(|entry| (entry.name.as_str(), entry.version)).collect();
    assert_eq!(workflows, [("checkout", 2)]);
}

#[test]
fn the_attributes_options_are_what_is_registered() {
    let registry = all();
    let charge = registry.activity("charge").unwrap();
    let policy = durable::retry::exponential("100ms", 2.0).max_interval("10s").max_attempts(5);
    assert_eq!(charge.options.retry, policy);
    assert_eq!(charge.options.start_to_close, Some(Duration::from_secs(30)));
    assert!(registry.activity("ship").unwrap().options.at_most_once);
    let checkout = registry.workflow("checkout", 2).unwrap();
    assert_eq!(checkout.options.timeout, Some(Duration::from_secs(30 * 86_400)));
}

#[test]
fn a_missing_state_is_a_fault_that_names_activity_and_type() {
    let mut states = durable::States::default();
    let faults: Vec<_> = all().faults(&states).iter().map(ToString::to_string).collect();
    let [fault] = &*faults else { panic!("{faults:?}") };
    assert!(fault.contains("`charge`") && fault.contains("shop::Psp"), "{fault}");
    states.insert(Psp { declines: false });
    assert_eq!(all().faults(&states), []);
}
