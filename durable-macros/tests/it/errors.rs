//! Which errors come back as themselves and which as a failure, also behind aliases; what is final.

use std::convert::Infallible;
use std::error::Error as StdError;

use durable::prelude::*;
use durable::{Failure, RetryHint, Retryable, fatal};

type Boxed = Box<dyn StdError + Send + Sync>;
type Alias<T> = std::result::Result<T, Boxed>;
type Whole = std::result::Result<u8, Typed>;

#[derive(Debug, thiserror::Error, Serialize, Deserialize, PartialEq)]
#[error("typed {0}")]
struct Typed(u8);

/// Serde, but no error and without a text.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Bare {
    code: u32,
}

#[activity]
async fn with_anyhow() -> anyhow::Result<u8> {
    Err(anyhow::anyhow!("inner").context("outer"))
}

#[activity]
async fn with_box() -> Result<u8, Box<dyn StdError + Send + Sync>> {
    Err(std::io::Error::other("disk"))?
}

#[activity]
async fn with_alias() -> Alias<u8> {
    Err("by alias")?
}

#[activity]
async fn with_string() -> Result<u8, String> {
    Err("text".to_owned())
}

#[activity]
async fn with_static_str() -> Result<u8, &'static str> {
    Err("static")
}

#[activity]
async fn with_durable() -> durable::Result<u8> {
    let typed: Result<u8, Typed> = Err(Typed(1));
    Ok(typed?)
}

#[activity]
async fn with_whole_alias() -> Whole {
    Err(Typed(2))
}

#[activity]
async fn with_bare() -> Result<u8, Bare> {
    Err(Bare { code: 404 })
}

#[activity]
async fn with_none() -> Result<u8, Infallible> {
    Ok(9)
}

#[activity]
async fn with_failure() -> Result<u8, Failure> {
    Err(Failure::new("made by hand"))
}

fn failure(result: Result<u8, CallError<Failure>>) -> String {
    match result {
        Err(CallError::App(failure)) => format!("{failure:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_comes_back_as_a_failure() {
    assert_eq!(failure(with_anyhow().run_direct().await), "outer: inner");
    assert_eq!(failure(with_box().run_direct().await), "disk");
    assert_eq!(failure(with_alias().run_direct().await), "by alias");
    assert_eq!(failure(with_string().run_direct().await), "text");
    assert_eq!(failure(with_static_str().run_direct().await), "static");
    assert_eq!(failure(with_durable().run_direct().await), "typed 1");
    assert_eq!(failure(with_failure().run_direct().await), "made by hand");
}

#[tokio::test]
async fn what_can_be_recorded_comes_back_as_itself() {
    assert_eq!(with_whole_alias().run_direct().await, Err(CallError::App(Typed(2))));
    assert_eq!(with_bare().run_direct().await, Err(CallError::App(Bare { code: 404 })));
    let never: Result<u8, CallError<Infallible>> = with_none().run_direct().await;
    assert_eq!(never.map_err(|error| error.to_string()), Ok(9));
}

#[workflow]
async fn takes_everything() -> durable::Result<u8> {
    let sum = with_anyhow().await? + with_whole_alias().await? + with_none().await? + with_durable().await?;
    let stepped = durable::step("parse", || async { "7".parse::<u8>().map_err(|error| error.to_string()) }).await?;
    Ok(sum + stepped)
}

#[workflow]
async fn takes_everything_too() -> anyhow::Result<u8> {
    let child = takes_everything().await?;
    let step = durable::step_with("add", (child, 1u8), |(a, b)| async move { anyhow::Ok(a + b) });
    let other = durable::step("own", || async { Ok::<_, durable::Error>(1u8) }).start_to_close(Duration::from_secs(1));
    let typed = durable::step("typed", || async { Err::<u8, _>(Wait::Gone) }).await;
    assert!(matches!(typed, Err(CallError::App(Wait::Gone))));
    Ok(step.await? + other.await?)
}

#[test]
fn workflows_of_all_errors_register() {
    let registry = durable::Registry::of((takes_everything, takes_everything_too));
    assert_eq!(registry.workflows().count(), 2);
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, Retryable)]
enum Wait {
    #[error("gone")]
    #[retry(never)]
    Gone,
    #[error("busy")]
    #[retry(after = "5s")]
    Busy(String),
    #[error("limited")]
    #[retry(after = until)]
    Limited { until: Option<Duration>, by: String },
    #[error("limited for a while")]
    #[retry(after = Duration::from_secs(*_0))]
    While(u64),
    #[error("inner")]
    #[retry(transparent)]
    Inner(Final),
    #[error("other")]
    Other,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, Retryable)]
#[error("final")]
#[retry(never)]
struct Final;

#[test]
fn each_variant_says_what_its_attribute_says() {
    let after = |seconds| RetryHint::After(Duration::from_secs(seconds));
    assert_eq!(Wait::Gone.retry(), RetryHint::Never);
    assert_eq!(Wait::Busy(String::new()).retry(), after(5));
    let limited = |until| Wait::Limited { until, by: String::new() };
    assert_eq!(limited(Some(Duration::from_secs(9))).retry(), after(9));
    assert_eq!(limited(None).retry(), RetryHint::Yes);
    assert_eq!(Wait::While(3).retry(), after(3));
    assert_eq!(Wait::Inner(Final).retry(), RetryHint::Never);
    assert_eq!(Wait::Other.retry(), RetryHint::Yes);
}

#[derive(Debug, Retryable, Serialize, Deserialize)]
enum Generic<T: Retryable> {
    #[retry(transparent)]
    Wrapped(T),
    #[retry(never)]
    Gone,
}

#[test]
fn a_generic_error_asks_its_parameter() {
    assert_eq!(Generic::Wrapped(Final).retry(), RetryHint::Never);
    assert_eq!(Generic::Wrapped(Wait::Other).retry(), RetryHint::Yes);
    assert_eq!(Generic::<Final>::Gone.retry(), RetryHint::Never);
}

#[test]
fn a_final_error_keeps_its_text_and_its_causes() {
    let error = anyhow::Error::from(fatal(std::io::Error::other("disk"))).context("while writing");
    let all: Vec<_> = error.chain().map(ToString::to_string).collect();
    assert_eq!(all, ["while writing", "disk", "this is final, it is not tried again"]);
}
