//! The checkout: its shop against its world outside without a network, and its program, crashed at every step.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use durable::prelude::*;
use durable::{Run, Runtime};
use tempfile::TempDir;
use tower::ServiceExt;

use self::client::{Answering, Outside};
use self::hooks::Hooks;
use self::service::Card;
use self::service::ledger::{self, Effect, Kind, Ledger, LedgerError, Line};
use self::shop::{APPROVAL, Approval, CheckoutError, Order, checkout};

#[path = "../../checkout/client.rs"]
pub(crate) mod client;
#[path = "../../checkout/hooks.rs"]
pub(crate) mod hooks;
#[path = "../../checkout/service/mod.rs"]
pub(crate) mod service;
#[path = "../../checkout/shop.rs"]
pub(crate) mod shop;

const SIGABRT: i32 = 6;
const ENDED_OTHERWISE: i32 = 3;
const WRONG_ARGUMENTS: i32 = 2;

/// A shop and its world outside, in one process.
struct Place {
    dir: TempDir,
    shop: Runtime,
}

impl Place {
    async fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let router = service::service(Arc::new(Ledger::open(&dir.path().join("ledger")).unwrap()));
        let send = move |request: Request<Body>| -> Answering {
            let answer = router.clone().oneshot(request);
            Box::pin(async move {
                let (head, body) = answer.await?.into_parts();
                Ok((head.status, to_bytes(body, usize::MAX).await?))
            })
        };
        let (hooks, _) = Hooks::of("", None, None);
        hooks.told();
        let builder = Runtime::builder(dir.path().join("store")).register(shop::all());
        let shop = builder.state(Outside::over(send, hooks)).open().await.unwrap();
        Place { dir, shop }
    }

    async fn sell(&self, items: &[&str], card: Card) -> Run<String, CheckoutError> {
        let order = Order {
            id: "order".to_owned(),
            items: items.iter().map(ToString::to_string).collect(),
            card,
            address: "Grace, 1 Compiler Street".to_owned(),
            approval_within: Duration::from_secs(3600),
        };
        self.shop.start(checkout(order)).id("order").await.unwrap()
    }

    /// What was done and undone, in this order.
    fn ledger(&self) -> Vec<String> {
        done(&self.dir.path().join("ledger"))
    }
}

fn done(ledger: &Path) -> Vec<String> {
    let told = |line: &Line| match line {
        Line::Asked(_) | Line::Closed(_) => None,
        Line::Made(effect) => Some(effect.id.clone()),
        Line::Undone(id) => Some(format!("{id} undone")),
    };
    ledger::read(ledger).unwrap().iter().filter_map(told).collect()
}

#[tokio::test]
async fn an_approved_order_is_held_charged_and_shipped() {
    let place = Place::new().await;
    let sale = place.sell(&["lamp", "chair"], Card::Good).await;
    sale.signal(APPROVAL, Approval { yes: true }).await.unwrap();
    assert_eq!(sale.result().await.unwrap(), "charge-1");
    assert_eq!(place.ledger(), ["hold-1", "charge-1", "parcel-1"]);
}

#[tokio::test]
async fn a_declined_card_releases_what_was_held() {
    let place = Place::new().await;
    let error = place.sell(&["lamp"], Card::Declined).await.result().await.unwrap_err();
    assert_eq!(error.to_string(), "card declined");
    assert_eq!(place.ledger(), ["hold-1", "hold-1 undone"]);
}

#[tokio::test]
async fn what_is_not_approved_is_undone_newest_first() {
    let place = Place::new().await;
    let sale = place.sell(&["desk"], Card::Good).await;
    sale.signal(APPROVAL, Approval { yes: false }).await.unwrap();
    assert_eq!(sale.result().await.unwrap_err().to_string(), "not approved");
    assert_eq!(place.ledger(), ["hold-1", "charge-1", "charge-1 undone", "hold-1 undone"]);
}

#[tokio::test]
async fn what_is_sold_out_is_asked_for_once() {
    let place = Place::new().await;
    let error = place.sell(&["unicorn"], Card::Good).await.result().await.unwrap_err();
    assert_eq!(error.to_string(), "sold out");
    assert_eq!(place.ledger(), Vec::<String>::new());
}

/// The example, as `cargo test` builds it beside this test, in a directory.
fn program(dir: &Path, args: &[&str]) -> Output {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("examples/checkout");
    assert!(path.exists(), "{} is not there: run `cargo build -p durable-examples --examples`", path.display());
    Command::new(path).arg("--dir").arg(dir).args(["--order", "one"]).args(args).output().unwrap()
}

fn ledger_of(dir: &Path) -> PathBuf {
    dir.join("ledger.jsonl")
}

fn crashes(dir: &Path, args: &[&str]) {
    let output = program(dir, args);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{args:?}: {output:?}");
}

#[test]
fn an_order_goes_on_behind_a_crash_at_every_step() {
    let dir = tempfile::tempdir().unwrap();
    crashes(dir.path(), &["--crash-at", "reserve"]);
    crashes(dir.path(), &["--crash-at", "charge"]);
    crashes(dir.path(), &["--crash-at", "approval"]);
    crashes(dir.path(), &["--crash-at", "ship", "--approve"]);
    let end = program(dir.path(), &["--approve"]);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(done(&ledger_of(dir.path())), ["hold-1", "charge-1", "parcel-1"]);
    let again = program(dir.path(), &[]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("goes on: completed"), "{again:?}");
}

#[test]
fn undoing_goes_on_behind_a_crash_at_every_step() {
    let dir = tempfile::tempdir().unwrap();
    crashes(dir.path(), &["--decline", "--crash-at", "refund"]);
    crashes(dir.path(), &["--crash-at", "release"]);
    let end = program(dir.path(), &[]);
    assert_eq!(end.status.code(), Some(ENDED_OTHERWISE), "{end:?}");
    assert_eq!(done(&ledger_of(dir.path())), ["hold-1", "charge-1", "charge-1 undone", "hold-1 undone"]);
}

#[test]
fn an_order_that_is_cancelled_at_any_step_leaves_nothing() {
    let sold = ["hold-1", "charge-1", "parcel-1"];
    for (steps, step) in [(1, "reserve"), (2, "charge"), (2, "approval"), (3, "ship")] {
        let dir = tempfile::tempdir().unwrap();
        let approve: &[&str] = if step == "ship" { &["--approve"] } else { &[] };
        let end = program(dir.path(), &[approve, &["--cancel-at", step]].concat());
        assert_eq!(end.status.code(), Some(ENDED_OTHERWISE), "{step}: {end:?}");
        let made = &sold[..steps];
        let undone = made.iter().rev().map(|id| format!("{id} undone"));
        let all: Vec<String> = made.iter().map(ToString::to_string).chain(undone).collect();
        assert_eq!(done(&ledger_of(dir.path())), all, "{step}");
    }
}

#[test]
fn a_charge_of_which_nobody_knows_is_refunded() {
    let dir = tempfile::tempdir().unwrap();
    let end = program(dir.path(), &["--card", "silent", "--cancel-at", "charge"]);
    assert_eq!(end.status.code(), Some(ENDED_OTHERWISE), "{end:?}");
    assert_eq!(done(&ledger_of(dir.path())), ["hold-1", "charge-1", "charge-1 undone", "hold-1 undone"]);
}

#[test]
fn a_charge_that_comes_behind_its_refund_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&dir.path().join("ledger")).unwrap();
    let charge = |order: &str, key: &str| Effect {
        order: order.to_owned(),
        kind: Kind::Charge,
        id: String::new(),
        cents: 4200,
        key: key.to_owned(),
    };
    ledger.close("late").unwrap();
    assert!(matches!(ledger.make(charge("late", "a")), Err(LedgerError::Closed)));
    assert!(ledger.make(charge("other", "b")).unwrap().is_new);
    assert!(!ledger.make(charge("other", "b")).unwrap().is_new);
}

#[test]
fn a_ledger_whose_last_line_was_cut_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    fs::write(&path, "{\"asked\":\"a\"}\n{\"asked\":\"a").unwrap();
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.asked("a").unwrap(), 2);
    assert_eq!(Ledger::open(&path).unwrap().asked("a").unwrap(), 3);
}

#[test]
fn wrong_arguments_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], says: &str| {
        let output = program(dir.path(), args);
        assert_eq!(output.status.code(), Some(WRONG_ARGUMENTS), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(says), "{output:?}");
    };
    refused(&["--crash-at", "lunch"], "`--crash-at` takes a step");
    refused(&["--card", "gold"], "`--card` takes good");
    refused(&["--within", "soon"], "`--within` takes seconds");
    refused(&["--order", "two"], "`--order` is given twice");
    refused(&["--approve", "--decline"], "answered once");
    refused(&["--service"], "`--service` needs a value");
    refused(&["--ordr"], "unknown argument `--ordr`");
}
