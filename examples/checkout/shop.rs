//! The shop: the workflow `checkout` and the activities that it calls. What goes wrong outside is not its business: it says what
//! follows what, and what undoes what.

use axum::http::StatusCode;
use durable::prelude::*;
use durable::{Failure, Retryable};

use super::client::{AskError, Outside};
use super::service::{Card, ChargeRequest, Hold, HoldRequest, Named, Nothing, ParcelRequest};

/// What a customer wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub items: Vec<String>,
    pub card: Card,
    pub address: String,
    /// How long somebody has to approve it.
    pub approval_within: Duration,
}

/// Whether an order is approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approval {
    pub yes: bool,
}

/// How an approval comes.
pub const APPROVAL: Signal<Approval> = Signal::new("approval");

/// What the warehouse says otherwise.
#[derive(Debug, thiserror::Error, Serialize, Deserialize, Retryable)]
pub enum StockError {
    #[error("sold out")]
    #[retry(never)]
    SoldOut,
    #[error("warehouse: {0}")]
    Warehouse(String),
}

/// What the bank says otherwise.
#[derive(Debug, thiserror::Error, Serialize, Deserialize, Retryable)]
pub enum ChargeError {
    #[error("card declined")]
    #[retry(never)]
    Declined,
    #[error("bank: {0}")]
    Bank(String),
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum CheckoutError {
    #[error(transparent)]
    Stock(#[from] CallError<StockError>),
    #[error(transparent)]
    Charge(#[from] CallError<ChargeError>),
    #[error(transparent)]
    Ship(#[from] CallError<Failure>),
    #[error("not approved")]
    NotApproved,
}

/// Sells something: what was done is undone, newest first, unless it all succeeds.
#[workflow]
pub async fn checkout(order: Order) -> Result<String, CheckoutError> {
    let hold = reserve(order.items).undo(|hold| release(hold.id)).await?;
    let receipt =
        charge(order.card, hold.total).undo(|receipt| refund(receipt.id)).undo_unknown(refund_order()).await?;
    tracing::info!("{}  waits for the approval, {:?} at most", order.id, order.approval_within);
    let approved = select! {
        answer = APPROVAL.recv() => answer.yes,
        () = durable::sleep(order.approval_within) => false,
    };
    tracing::info!("{}  is {}", order.id, if approved { "approved" } else { "not approved" });
    if !approved {
        return Err(CheckoutError::NotApproved);
    }
    ship(hold.id, order.address).undo(|parcel| recall(parcel.id)).await?;
    Ok(receipt.id)
}

/// Holds goods, and says what they cost.
#[activity]
pub async fn reserve(State(outside): State<Outside>, items: Vec<String>) -> Result<Hold, StockError> {
    Ok(outside.ask("/holds", &HoldRequest { items }).await?)
}

/// Takes the money.
#[activity(start_to_close = "2s", retry = exponential("100ms", 2.0).max_interval("1s").max_attempts(10))]
pub async fn charge(State(outside): State<Outside>, card: Card, cents: u64) -> Result<Named, ChargeError> {
    Ok(outside.ask("/charges", &ChargeRequest { card, cents }).await?)
}

/// Hands what is held to the carrier.
#[activity]
pub async fn ship(State(outside): State<Outside>, hold: String, address: String) -> anyhow::Result<Named> {
    Ok(outside.ask("/parcels", &ParcelRequest { hold, address }).await?)
}

/// The opposite of [`reserve`].
#[activity]
pub async fn release(State(outside): State<Outside>, hold: String) -> anyhow::Result<()> {
    undo(&outside, &format!("/holds/{hold}/release")).await
}

/// The opposite of [`charge`].
#[activity]
pub async fn refund(State(outside): State<Outside>, charge: String) -> anyhow::Result<()> {
    undo(&outside, &format!("/charges/{charge}/refund")).await
}

/// The opposite of a [`charge`] of which nobody knows whether it was done: whatever was charged for this order is given back.
#[activity]
pub async fn refund_order(State(outside): State<Outside>) -> anyhow::Result<()> {
    undo(&outside, "/charges/refund-order").await
}

/// The opposite of [`ship`].
#[activity]
pub async fn recall(State(outside): State<Outside>, parcel: String) -> anyhow::Result<()> {
    undo(&outside, &format!("/parcels/{parcel}/recall")).await
}

async fn undo(outside: &Outside, path: &str) -> anyhow::Result<()> {
    let Nothing {} = outside.ask(path, &Nothing {}).await?;
    Ok(())
}

/// All that a runtime has to know of the shop.
pub fn all() -> durable::Registry {
    durable::Registry::of((checkout, reserve, charge, ship, release, refund, refund_order, recall))
}

impl From<AskError> for StockError {
    fn from(error: AskError) -> StockError {
        match error {
            AskError::Refused(StatusCode::CONFLICT, _) => StockError::SoldOut,
            other => StockError::Warehouse(other.to_string()),
        }
    }
}

impl From<AskError> for ChargeError {
    fn from(error: AskError) -> ChargeError {
        match error {
            AskError::Refused(StatusCode::PAYMENT_REQUIRED, _) => ChargeError::Declined,
            other => ChargeError::Bank(other.to_string()),
        }
    }
}
