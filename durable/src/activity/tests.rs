//! Attempts of registered activities, as a runtime begins them: what comes out, and what is said about another one.

use std::task::{Context, Poll, Waker};

use super::{AttemptEnd, AttemptInfo, KeyOf, States};
use crate::error::RetryHint;
use crate::kernel::event::Payload;
use crate::kernel::id::{Attempt, Digest, RunId, Seq};
use crate::payload::{self, PayloadCodec};
use crate::prelude::*;
use crate::{Failure, Registry, Retryable, fatal};

#[derive(Debug, Serialize, Deserialize, Retryable, PartialEq)]
enum Refused {
    #[retry(never)]
    Gone,
    #[retry(after = "5s")]
    Busy,
    Other,
}

/// Serde, without a text and without an opinion.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Silent {
    code: u32,
}

#[activity]
async fn refuse(how: u8) -> Result<u8, Refused> {
    match how {
        0 => Err(Refused::Gone),
        1 => Err(Refused::Busy),
        2 => Err(Refused::Other),
        how => Ok(how),
    }
}

#[activity]
async fn silent() -> Result<u8, Silent> {
    Err(Silent { code: 404 })
}

#[activity]
async fn finally(last: bool) -> durable::Result<u8> {
    if last {
        return Err(fatal("no more").into());
    }
    Err("once more")?
}

#[activity]
async fn long(bytes: usize) -> Result<String, String> {
    Ok("x".repeat(bytes))
}

#[activity]
async fn stateful(State(text): State<String>, more: String) -> Result<String, String> {
    Ok(text + &more)
}

#[activity]
async fn panics(text: String) -> Result<u8, String> {
    panic!("{text}")
}

#[activity]
async fn key() -> Result<(String, u32), String> {
    let info = super::info();
    let key = super::idempotency_key();
    assert_eq!(key, info.idempotency_key());
    Ok((key, info.attempt.0))
}

fn info() -> AttemptInfo {
    AttemptInfo {
        namespace: "".into(),
        workflow_id: "order-42".into(),
        workflow: "checkout".into(),
        run: RunId([7; 16]),
        activity: "any".into(),
        seq: Seq(3),
        attempt: Attempt(2),
        key: KeyOf::Call(Digest(1), 0),
        codec: PayloadCodec::Json,
        asked: None,
        of_run: None,
    }
}

fn attempt(name: &str, input: &str) -> AttemptEnd {
    let registry = Registry::of((refuse, silent, finally, long, stateful, panics, key));
    let mut states = States::default();
    states.insert("state ".to_owned());
    attempt_with(&registry, name, input, &states)
}

/// One attempt that never waits; its input is given as JSON.
fn attempt_with(registry: &Registry, name: &str, input: &str, states: &States) -> AttemptEnd {
    let input: serde_json::Value = serde_json::from_str(input).unwrap();
    let input = payload::encode(PayloadCodec::Json, &input).unwrap();
    let mut future = registry.activity(name).unwrap().attempt(input, states, info(), None);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(end) => end,
        Poll::Pending => panic!("the attempt waits"),
    }
}

fn failed(end: AttemptEnd) -> (Payload, String, RetryHint) {
    match end {
        AttemptEnd::Failed { error, text, retry } => (error, text.to_string(), retry),
        AttemptEnd::Completed(_) | AttemptEnd::Panicked(_) => panic!("{end:?}"),
    }
}

#[test]
fn arguments_come_as_a_map_by_name() {
    let end = attempt("stateful", r#"{"more": "and more"}"#);
    let result = payload::encode(PayloadCodec::Json, "state and more").unwrap();
    assert_eq!(end, AttemptEnd::Completed(result));
}

#[test]
fn what_is_marked_as_final_is_final_and_the_rest_is_not() {
    let hint = |how: u8| failed(attempt("refuse", &format!(r#"{{"how": {how}}}"#))).2;
    assert_eq!(hint(0), RetryHint::Never);
    assert_eq!(hint(1), RetryHint::After(Duration::from_secs(5)));
    assert_eq!(hint(2), RetryHint::Yes);
}

#[test]
fn fatal_is_final_and_any_other_error_is_not() {
    let (error, text, retry) = failed(attempt("finally", r#"{"last": true}"#));
    assert_eq!((text.as_str(), retry), ("no more", RetryHint::Never));
    assert_eq!(payload::decode::<Failure>(&error).unwrap().message(), "no more");
    assert_eq!(failed(attempt("finally", r#"{"last": false}"#)).2, RetryHint::Yes);
}

#[test]
fn an_error_without_a_text_is_told_as_json() {
    let (error, text, retry) = failed(attempt("silent", "{}"));
    assert_eq!((text.as_str(), retry), (r#"{"code":404}"#, RetryHint::Yes));
    assert_eq!(payload::decode::<Silent>(&error).unwrap(), Silent { code: 404 });
}

#[test]
fn an_input_that_does_not_decode_is_no_error_of_the_activitys_own() {
    let (error, text, retry) = failed(attempt("refuse", r#"{"who": 1}"#));
    assert!(error.is_empty() && retry == RetryHint::Never);
    assert!(text.starts_with("the input of `refuse` does not decode") && text.contains("how"), "{text}");
}

#[test]
fn a_missing_state_is_no_error_of_the_activitys_own() {
    let end = attempt_with(&Registry::of((stateful,)), "stateful", r#"{"more": ""}"#, &States::default());
    let (error, text, retry) = failed(end);
    assert!(error.is_empty() && retry == RetryHint::Never);
    assert!(text.starts_with("`stateful` cannot run: there is no state of type"), "{text}");
}

#[test]
fn a_result_that_is_too_long_is_final() {
    let (error, text, retry) = failed(attempt("long", r#"{"bytes": 5000000}"#));
    assert!(error.is_empty() && retry == RetryHint::Never);
    assert!(text.starts_with("the result of `long` cannot be recorded"), "{text}");
}

#[test]
fn a_panics_text_is_kept_and_cut() {
    assert_eq!(attempt("panics", r#"{"text": "boom"}"#), AttemptEnd::Panicked("boom".into()));
    let long = format!(r#"{{"text": "{}"}}"#, "x".repeat(9000));
    let AttemptEnd::Panicked(text) = attempt("panics", &long) else { panic!("no panic") };
    assert_eq!(text.as_str().len(), crate::error::TEXT_LEN_MAX);
}

#[test]
fn an_attempt_knows_its_key_and_its_number() {
    let expected = payload::encode(PayloadCodec::Json, &(info().idempotency_key(), 2)).unwrap();
    assert_eq!(attempt("key", "{}"), AttemptEnd::Completed(expected));
    assert_eq!(super::try_info(), None);
}
