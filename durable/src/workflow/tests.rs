//! Calls as values: when they take options, what they start with, how what was recorded comes back.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use super::call::{Call, DecodeEnd, Ended};
use super::context::{RunContext, StepFn, Surroundings};
use super::definition::{BodyEnd, Workflow};
use crate::activity::{AttemptEnd, AttemptInfo, KeyOf};
use crate::error::RetryHint;
use crate::kernel::event::{End, Payload, RunStarted};
use crate::kernel::id::{Attempt, Digest, RunId, Seq};
use crate::kernel::machine::Machine;
use crate::kernel::retry::fixed;
use crate::payload::{self, PayloadCodec};
use crate::prelude::*;
use crate::{Failure, Registry, Step, Undone, WorkflowFn};

#[activity]
async fn fetch(page: u32) -> Result<String, String> {
    Ok(page.to_string())
}

#[workflow(version = 3, timeout = "1h")]
async fn book(title: String, pages: Option<u32>) -> Result<u32, String> {
    pages.ok_or_else(|| format!("{title} has no pages"))
}

#[workflow]
async fn never_fails(x: u8) -> Result<u8, Infallible> {
    Ok(x)
}

fn run() -> Arc<RunContext> {
    let machine = Machine::new(&RunStarted::default(), "build".into());
    let around = Surroundings { check: Box::new(|_| Ok(())), codec: PayloadCodec::default() };
    RunContext::new(machine, Arc::new(around))
}

/// Polls once in a run; it waits for its outcome from then on.
fn issue(run: &Arc<RunContext>, future: &mut (impl Future + Unpin)) {
    let polled = run.enter(|| std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(polled);
}

fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(f)) else { panic!("it did not panic") };
    crate::error::panic_text(&*panic).to_string()
}

#[test]
fn options_are_set_before_the_first_poll_and_not_after() {
    let run = run();
    let mut call: Call<_> = fetch(1).retry(fixed("1s")).at_most_once();
    issue(&run, &mut call);
    let text = panic_of(|| call.start_to_close(Duration::from_secs(1)));
    assert!(text.starts_with("the call of `fetch` was awaited already"), "{text}");

    let mut step: Step<_, _> = run.enter(|| durable::step("parse", || async { Ok::<_, String>(1) }));
    issue(&run, &mut step);
    let text = panic_of(|| step.retry(fixed("1s")));
    assert!(text.starts_with("the call of `parse` was awaited already"), "{text}");
}

#[test]
fn a_call_awaited_outside_a_run_names_the_place_where_it_was_built() {
    let (mut call, line) = (fetch(1), line!());
    let text = panic_of(|| std::pin::Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let place = format!("the call of activity `fetch`, built at {}:{line}:", file!());
    assert!(text.starts_with(&place), "{text}");
}

#[test]
fn a_started_workflow_carries_its_input_by_name() {
    let call = book("Emma".to_owned(), Some(474)).id("emma").into_start();
    assert_eq!((call.name().as_str(), call.version()), ("book", 3));
    assert_eq!(call.id().map(|id| id.as_str()), Some("emma"));
    assert_eq!(call.timeout(), Some(Duration::from_secs(3600)));
    let input = payload::to_json(&call.payload(PayloadCodec::MessagePack).unwrap());
    assert_eq!(format!("{input:?}"), format!("{:?}", as_json(r#"{"title": "Emma", "pages": 474}"#)));
}

#[test]
fn digests_agree_for_equal_inputs_in_one_run_alone() {
    let start = |pages| book("Emma".to_owned(), pages).into_start();
    let salt = [1; 16];
    let digests = start(Some(474)).digests(&salt).unwrap();
    assert_eq!(start(Some(474)).digests(&salt).unwrap(), digests);
    assert_ne!(start(Some(475)).digests(&salt).unwrap().0, digests.0);
    assert_ne!(start(Some(474)).digests(&[2; 16]).unwrap().0, digests.0);
}

#[test]
fn the_registered_definition_is_that_of_the_call() {
    let registry = Registry::of((book, never_fails));
    let (call, entry) = (book(String::new(), None).into_start(), registry.workflow("book", 3).unwrap());
    assert_eq!(call.definition(), (entry.type_id, entry.type_name));
    assert_ne!(never_fails(1).into_start().definition().0, entry.type_id);
}

fn body(input: &str) -> Result<BodyEnd, String> {
    let registry = Registry::of((book,));
    let input = payload::encode(PayloadCodec::Json, &as_json(input)).unwrap();
    let mut body = registry.workflow("book", 3).unwrap().body(&input, PayloadCodec::Json)?;
    match body.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(end) => Ok(end),
        Poll::Pending => panic!("the body waits"),
    }
}

fn as_json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_body_gives_its_recorded_result_or_error() {
    let result = payload::encode(PayloadCodec::Json, &474u32).unwrap();
    assert_eq!(body(r#"{"title": "Emma", "pages": 474}"#), Ok(BodyEnd::Ok(result)));
    let Ok(BodyEnd::Err { error, text }) = body(r#"{"title": "Emma"}"#) else { panic!("no error") };
    assert_eq!(text.as_str(), "Emma has no pages");
    assert_eq!(payload::decode::<Failure>(&error).unwrap().message(), "Emma has no pages");
}

#[test]
fn a_stored_input_that_lacks_an_argument_names_workflow_and_argument() {
    let error = body(r#"{"name": "Emma"}"#).unwrap_err();
    assert!(error.contains("`book`") && error.contains("title"), "{error}");
}

fn decode_end<M, F>(_: F) -> DecodeEnd<F::Output, F::Error>
where
    F: WorkflowFn<M>,
    F::Definition: Workflow<Output = F::Output, Error = F::Error>,
{
    Ended::result::<F::Definition>
}

fn ended(how: End, result: Payload) -> Ended {
    Ended { how, body: how, result, undone: Undone::default() }
}

#[test]
fn every_end_of_a_run_comes_back_typed() {
    let decode = decode_end(book);
    let of = |value: &str| payload::encode(PayloadCodec::default(), &as_json(value)).unwrap();
    assert_eq!(decode(ended(End::Completed, of("474"))), Ok(474));
    let failure = payload::encode(PayloadCodec::default(), &Failure::new("no")).unwrap();
    assert_eq!(decode(ended(End::Failed, failure)), Err(RunError::Failed(Failure::new("no"))));
    assert_eq!(decode(ended(End::Cancelled, Payload::default())), Err(RunError::Cancelled));
    assert_eq!(decode(ended(End::TimedOut, Payload::default())), Err(RunError::TimedOut));
    let terminated = decode(ended(End::Terminated, Payload::default()));
    assert_eq!(terminated, Err(RunError::Terminated(Undone::default())));
    assert!(matches!(decode(ended(End::Completed, of(r#""many""#))), Err(RunError::Decode(_))));
}

#[test]
fn an_error_of_a_workflow_that_has_none_does_not_decode() {
    let decode = decode_end(never_fails);
    let error = payload::encode(PayloadCodec::default(), "what?").unwrap();
    assert!(matches!(decode(ended(End::Failed, error)), Err(RunError::Decode(_))));
}

fn step_attempts<T, E>(build: impl FnOnce() -> Step<T, E>) -> StepFn {
    let run = run();
    let mut step = run.enter(build);
    issue(&run, &mut step);
    let (_, attempts) = run.end_turn(None).steps.into_iter().last().unwrap();
    attempts
}

fn step_attempt(attempts: &StepFn, input: &impl Serialize) -> AttemptEnd {
    let info = AttemptInfo {
        namespace: "".into(),
        workflow_id: "order-42".into(),
        workflow: "checkout".into(),
        run: RunId::default(),
        activity: "step".into(),
        seq: Seq(1),
        attempt: Attempt(1),
        key: KeyOf::Call(Digest(1), 0),
        codec: PayloadCodec::Json,
        asked: None,
        of_run: None,
    };
    let input = payload::encode(PayloadCodec::Json, input).unwrap();
    match attempts(input, info).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(end) => end,
        Poll::Pending => panic!("the step waits"),
    }
}

#[test]
fn each_attempt_of_a_step_calls_the_closure_with_a_copy_of_the_input() {
    let calls = Arc::new(AtomicU32::new(0));
    let attempts = step_attempts(|| {
        durable::step_with("count", vec![1u32, 2], move |mut list| {
            list.push(calls.fetch_add(1, Ordering::Relaxed));
            async move { Ok::<_, String>(list) }
        })
    });
    let json = |list: &[u32]| AttemptEnd::Completed(payload::encode(PayloadCodec::Json, list).unwrap());
    assert_eq!(step_attempt(&attempts, &[1, 2]), json(&[1, 2, 0]));
    assert_eq!(step_attempt(&attempts, &[1, 2]), json(&[1, 2, 1]));
}

#[derive(Debug, Serialize, Deserialize, crate::Retryable)]
#[retry(never)]
struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("gone")
    }
}

#[test]
fn a_steps_error_says_whether_it_is_final() {
    let hint = |attempts: StepFn| match step_attempt(&attempts, &()) {
        AttemptEnd::Failed { text, retry, .. } => (text.to_string(), retry),
        end => panic!("{end:?}"),
    };
    let typed = step_attempts(|| durable::step("typed", || async { Err::<u8, _>(Gone) }));
    assert_eq!(hint(typed), ("gone".to_owned(), RetryHint::Never));
    let opaque =
        step_attempts(|| durable::step("opaque", || async { Err::<u8, crate::Error>(crate::fatal("no more").into()) }));
    assert_eq!(hint(opaque), ("no more".to_owned(), RetryHint::Never));
    let words = step_attempts(|| durable::step("words", || async { Err::<u8, _>("again") }));
    assert_eq!(hint(words), ("again".to_owned(), RetryHint::Yes));
}

#[test]
fn a_panic_in_a_step_is_an_outcome_and_the_next_attempt_still_runs() {
    let first = AtomicU32::new(0);
    let attempts = step_attempts(|| {
        durable::step("shaky", move || {
            assert!(first.fetch_add(1, Ordering::Relaxed) > 0, "the first one falls");
            async { Ok::<_, String>(1u8) }
        })
    });
    assert_eq!(step_attempt(&attempts, &()), AttemptEnd::Panicked("the first one falls".into()));
    assert!(matches!(step_attempt(&attempts, &()), AttemptEnd::Completed(_)));
}

/// A file that imports a `select!` of its own.
mod imports {
    use std::future::ready;

    use tokio::select;

    use crate::prelude::workflow;

    #[workflow]
    pub(super) async fn in_a_body(times: u32) -> Result<u32, String> {
        let mut first = 0;
        for _ in 0..times {
            first += select! { () = ready(()) => 1, () = ready(()) => 0 };
        }
        Ok(first)
    }

    pub(super) async fn in_a_helper(times: u32) -> u32 {
        let mut first = 0;
        for _ in 0..times {
            first += select! { () = ready(()) => 1, () = ready(()) => 0 };
        }
        first
    }
}

#[test]
fn select_in_a_body_is_the_librarys_whatever_the_file_imports() {
    let registry = Registry::of((imports::in_a_body,));
    let input = payload::encode(PayloadCodec::Json, &as_json(r#"{"times": 1000}"#)).unwrap();
    let mut body = registry.workflow("in_a_body", 1).unwrap().body(&input, PayloadCodec::Json).unwrap();
    let polled = body.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let always = payload::encode(PayloadCodec::Json, &1000).unwrap();
    assert_eq!(polled, Poll::Ready(BodyEnd::Ok(always)));

    let mut helper = std::pin::pin!(imports::in_a_helper(1000));
    let Poll::Ready(first) = helper.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { panic!("it waits") };
    assert!(first < 1000, "tokio's own takes a branch at random");
}
