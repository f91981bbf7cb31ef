//! The world outside the shop, as a service of its own: a warehouse that holds goods, a bank that charges cards, a carrier that takes
//! parcels. It answers over HTTP, badly now and then, and keeps a ledger of what it did. It knows nothing of `durable`; all it asks of
//! its clients is a key with each request.

pub mod ledger;

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Path as InPath, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use self::ledger::{Effect, Kind, Ledger, LedgerError, Made};

/// Which order a request is for, and under which key: the two headers of each request.
pub const ORDER: &str = "order";
pub const KEY: &str = "idempotency-key";

/// What the warehouse has. Each costs the same.
const GOODS: [&str; 3] = ["lamp", "desk", "chair"];
const CENTS_EACH: u64 = 4200;

/// How a card behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Card {
    /// It is charged.
    Good,
    /// The first request is answered 503; the second charges it and is not answered; later ones are.
    Flaky,
    /// It is charged, and no request is ever answered.
    Silent,
    /// It is declined.
    Declined,
}

/// What is held, and what it costs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hold {
    pub id: String,
    pub total: u64,
}

/// What is to be held.
#[derive(Debug, Serialize, Deserialize)]
pub struct HoldRequest {
    pub items: Vec<String>,
}

/// What is to be charged.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChargeRequest {
    pub card: Card,
    pub cents: u64,
}

/// What is to be shipped.
#[derive(Debug, Serialize, Deserialize)]
pub struct ParcelRequest {
    pub hold: String,
    pub address: String,
}

/// An answer that names what was made.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named {
    pub id: String,
}

/// A request for the opposite of something.
#[derive(Debug, Serialize, Deserialize)]
pub struct Nothing {}

/// Serves on a free port of the loopback interface, for as long as this process lives.
pub async fn start(ledger: &Path) -> io::Result<SocketAddr> {
    let service = service(Arc::new(Ledger::open(ledger)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok(at)
}

/// The service, without a network.
pub fn service(ledger: Arc<Ledger>) -> Router {
    Router::new()
        .route("/holds", post(hold))
        .route("/holds/{id}/release", post(release))
        .route("/charges", post(charge))
        .route("/charges/{id}/refund", post(refund))
        .route("/charges/refund-order", post(refund_order))
        .route("/parcels", post(ship))
        .route("/parcels/{id}/recall", post(recall))
        .with_state(ledger)
}

/// Why a request is not done.
enum Refused {
    /// It lacks a header.
    Header(&'static str),
    /// It cannot be done, now or later.
    Never(StatusCode, String),
    /// Not now.
    Unavailable,
    /// The ledger cannot be written.
    Unable(String),
}

impl From<LedgerError> for Refused {
    fn from(error: LedgerError) -> Refused {
        match error {
            LedgerError::NoSuch => Refused::Never(StatusCode::NOT_FOUND, error.to_string()),
            LedgerError::Closed => Refused::Never(StatusCode::GONE, error.to_string()),
            LedgerError::File(_) => Refused::Unable(error.to_string()),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Refused::Header(name) => {
                (StatusCode::BAD_REQUEST, format!("the header `{name}` is missing")).into_response()
            }
            Refused::Never(status, why) => (status, why).into_response(),
            Refused::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "try again later").into_response(),
            Refused::Unable(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
        }
    }
}

type Answer<T> = Result<Json<T>, Refused>;

async fn hold(State(ledger): State<Arc<Ledger>>, headers: HeaderMap, Json(asked): Json<HoldRequest>) -> Answer<Hold> {
    let of = Asked::read(&headers)?;
    if !asked.items.iter().all(|item| GOODS.contains(&item.as_str())) {
        return Err(Refused::Never(StatusCode::CONFLICT, "sold out".to_owned()));
    }
    let total = CENTS_EACH * asked.items.len() as u64;
    let made = ledger.make(of.effect(Kind::Hold, total))?;
    told(&of, "warehouse", &made, &format!("holds {}", asked.items.join(", ")));
    Ok(Json(Hold { id: made.effect.id, total }))
}

async fn charge(
    State(ledger): State<Arc<Ledger>>,
    headers: HeaderMap,
    Json(asked): Json<ChargeRequest>,
) -> Answer<Named> {
    let of = Asked::read(&headers)?;
    let request = ledger.asked(&of.key)?;
    match (asked.card, request) {
        (Card::Declined, _) => {
            of.say("bank", "declines the card");
            return Err(Refused::Never(StatusCode::PAYMENT_REQUIRED, "card declined".to_owned()));
        }
        (Card::Flaky, 1) => {
            of.say("bank", "answers 503: try again later");
            return Err(Refused::Unavailable);
        }
        _ => {}
    }
    let made = ledger.make(of.effect(Kind::Charge, asked.cents))?;
    let is_silent = asked.card == Card::Silent || (asked.card == Card::Flaky && request == 2);
    let ending = if is_silent { ", and does not answer" } else { "" };
    told(&of, "bank", &made, &format!("takes {}{ending}", euros(asked.cents)));
    if is_silent {
        // Until the client gives up: its connection ends, and this is dropped.
        pending::<()>().await;
    }
    Ok(Json(Named { id: made.effect.id }))
}

async fn ship(
    State(ledger): State<Arc<Ledger>>,
    headers: HeaderMap,
    Json(asked): Json<ParcelRequest>,
) -> Answer<Named> {
    let of = Asked::read(&headers)?;
    let made = ledger.make(of.effect(Kind::Parcel, 0))?;
    told(&of, "carrier", &made, &format!("takes what {} held to {}", asked.hold, asked.address));
    Ok(Json(Named { id: made.effect.id }))
}

async fn release(state: State<Arc<Ledger>>, headers: HeaderMap, id: InPath<String>) -> Answer<Nothing> {
    undo(&state, &headers, ("warehouse", "releases"), &id)
}

async fn refund(state: State<Arc<Ledger>>, headers: HeaderMap, id: InPath<String>) -> Answer<Nothing> {
    undo(&state, &headers, ("bank", "refunds"), &id)
}

async fn recall(state: State<Arc<Ledger>>, headers: HeaderMap, id: InPath<String>) -> Answer<Nothing> {
    undo(&state, &headers, ("carrier", "brings back"), &id)
}

/// Refunds whatever was charged for an order, and takes no charge for it any more: for a client that does not know whether there was one,
/// or is one on its way.
async fn refund_order(State(ledger): State<Arc<Ledger>>, headers: HeaderMap) -> Answer<Nothing> {
    let of = Asked::read(&headers)?;
    ledger.close(&of.order)?;
    let charges = ledger.standing(&of.order, Kind::Charge);
    if charges.is_empty() {
        of.say("bank", "has nothing to refund");
    }
    for charge in charges {
        ledger.undo(&charge.id)?;
        of.say("bank", &format!("finds {}, and refunds it", charge.id));
    }
    Ok(Json(Nothing {}))
}

fn undo(ledger: &Ledger, headers: &HeaderMap, (who, does): (&str, &str), id: &str) -> Answer<Nothing> {
    let of = Asked::read(headers)?;
    let again = if ledger.undo(id)? { "" } else { " (done before)" };
    of.say(who, &format!("{does} {id}{again}"));
    Ok(Json(Nothing {}))
}

/// Who asks.
struct Asked {
    order: String,
    key: String,
}

impl Asked {
    fn read(headers: &HeaderMap) -> Result<Asked, Refused> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Refused::Header(name));
        Ok(Asked { order: header(ORDER)?.to_owned(), key: header(KEY)?.to_owned() })
    }

    fn effect(&self, kind: Kind, cents: u64) -> Effect {
        Effect { order: self.order.clone(), key: self.key.clone(), kind, cents, id: String::new() }
    }

    fn say(&self, who: &str, what: &str) {
        println!("  outside  {}  {who} {what}", self.order);
    }
}

fn told(of: &Asked, who: &str, made: &Made, what: &str) {
    let id = &made.effect.id;
    if made.is_new {
        of.say(who, &format!("{what}: {id}"));
    } else {
        of.say(who, &format!("knows the key: {id}, as before"));
    }
}

/// An amount, for people.
pub fn euros(cents: u64) -> String {
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}
