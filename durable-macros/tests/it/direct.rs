//! `run_direct`: an activity's body on its own.

use durable::prelude::*;

use crate::shop::{Card, ChargeError, Psp, StockError, charge, reserve};

#[tokio::test]
async fn an_activity_runs_directly_with_its_state() {
    let call = charge(Card("visa".to_owned()), 250).state(Psp { declines: false });
    let receipt = call.run_direct().await.unwrap();
    assert_eq!((receipt.id.as_str(), receipt.total), ("visa/run_direct/charge", 250));
}

#[tokio::test]
async fn a_typed_error_comes_back_as_itself() {
    let declined = charge(Card("visa".to_owned()), 250).state(Psp { declines: true }).run_direct().await;
    assert_eq!(declined, Err(CallError::App(ChargeError::Declined)));
    assert_eq!(reserve(Vec::new()).run_direct().await, Err(CallError::App(StockError)));
}

#[tokio::test]
#[should_panic(expected = "`charge` cannot run: there is no state of type `it::shop::Psp`")]
async fn a_direct_run_without_its_state_panics_and_names_it() {
    let _ = charge(Card(String::new()), 1).run_direct().await;
}

#[activity]
async fn explode(text: String) -> Result<(), String> {
    panic!("no more {text}")
}

#[tokio::test]
async fn a_panic_is_an_outcome() {
    let ended = explode("tea".to_owned()).run_direct().await;
    assert_eq!(ended, Err(CallError::Panicked("no more tea".into())));
}

#[activity]
fn hash(bytes: Vec<u8>, rounds: u32) -> Result<u64, String> {
    let sum = bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    assert_eq!(durable::activity::info().activity.as_str(), "hash");
    rounds.checked_sub(1).ok_or("no rounds")?;
    Ok(sum * u64::from(rounds))
}

#[tokio::test]
async fn a_plain_fn_runs_where_it_may_block() {
    assert_eq!(hash(vec![1, 2, 3], 2).run_direct().await, Ok(12));
    let error = hash(vec![], 0).run_direct().await.unwrap_err();
    assert_eq!(error.app().map(durable::Failure::message), Some("no rounds"));
}

#[activity]
fn explode_blocking() -> Result<(), String> {
    panic!("boom")
}

#[tokio::test]
async fn a_panic_in_a_plain_fn_is_an_outcome() {
    assert_eq!(explode_blocking().run_direct().await, Err(CallError::Panicked("boom".into())));
}

#[activity]
async fn who() -> Result<String, String> {
    let before = durable::activity::info().activity;
    tokio::task::yield_now().await;
    assert_eq!(durable::activity::info().activity, before);
    Ok(before.to_string())
}

#[activity]
async fn who_else() -> Result<String, String> {
    let inner = who().run_direct().await.map_err(|error| error.to_string())?;
    Ok(format!("{inner} in {}", durable::activity::info().activity))
}

#[tokio::test]
async fn the_attempt_is_ambient_in_its_polls_and_nowhere_else() {
    let (a, b) = tokio::join!(who().run_direct(), who_else().run_direct());
    assert_eq!((a.unwrap().as_str(), b.unwrap().as_str()), ("who", "who in who_else"));
    assert_eq!(durable::activity::try_info(), None);
}

#[test]
fn asking_outside_an_attempt_panics_at_the_callers_place() {
    let panic = std::panic::catch_unwind(durable::activity::idempotency_key).unwrap_err();
    let text = panic.downcast_ref::<&str>().unwrap();
    assert!(text.starts_with("no attempt of an activity is running here"), "{text}");
}
