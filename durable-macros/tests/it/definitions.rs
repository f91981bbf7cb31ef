//! The shapes of functions that can be workflows and activities, and how they are called.

use std::future::Future;

use durable::prelude::*;
use durable::retry::{RetryPolicy, fixed};
use durable::{Call, Inputs, WorkflowFn};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;

const PATIENT: RetryPolicy = fixed("1m").max_attempts(10);
const LIMIT: Duration = Duration::from_secs(10);

#[activity(retry = PATIENT, start_to_close = LIMIT, schedule_to_close = "1h30m", inputs = Strict, name = "fetch-page")]
async fn fetch(url: String) -> Result<String, String> {
    Ok(url)
}

#[test]
fn options_are_constant_expressions() {
    let registry = durable::Registry::of((fetch,));
    let options = registry.activity("fetch-page").unwrap().options;
    assert_eq!(options.retry, PATIENT);
    assert_eq!(options.start_to_close, Some(LIMIT));
    assert_eq!(options.schedule_to_close, Some(Duration::from_secs(5400)));
    assert_eq!(options.inputs, Inputs::Strict);
}

#[workflow]
async fn no_arguments() -> Result<(), String> {
    Ok(())
}

#[activity]
#[allow(clippy::too_many_arguments)]
async fn sixteen(
    a: u8,
    b: u8,
    c: u8,
    d: u8,
    e: u8,
    f: u8,
    g: u8,
    h: u8,
    i: u8,
    j: u8,
    k: u8,
    l: u8,
    m: u8,
    n: u8,
    o: u8,
    p: u8,
) -> Result<u8, String> {
    Ok(a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p)
}

#[tokio::test]
async fn sixteen_arguments_are_passed_in_order() {
    let call = sixteen(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    assert_eq!(call.run_direct().await, Ok(136));
    assert_eq!(durable::Registry::of((sixteen, no_arguments)).activities().count(), 1);
}

#[workflow]
async fn factorial(n: u64) -> Result<u64, String> {
    if n == 0 {
        return Ok(1);
    }
    let before = factorial(n - 1).id(format!("factorial-{n}")).await.map_err(|error| error.to_string())?;
    Ok(n * before)
}

trait Provider: Send {
    const NAME: &'static str;
    type Card: Serialize + serde::de::DeserializeOwned + Send;
}

#[derive(Debug)]
struct Visa;
#[derive(Debug)]
struct Amex;

impl Provider for Visa {
    const NAME: &'static str = "visa";
    type Card = u16;
}

impl Provider for Amex {
    const NAME: &'static str = "amex";
    type Card = String;
}

#[activity(name = format!("tokenize-{}", P::NAME))]
async fn tokenize<P: Provider>(card: P::Card) -> Result<P::Card, String> {
    Ok(card)
}

#[workflow(name = format!("pay-{}", P::NAME))]
async fn pay<P: Provider>(card: P::Card, cents: u64) -> anyhow::Result<u64>
where
    P::Card: Clone,
{
    tokenize::<P>(card.clone()).await?;
    if cents > 1 {
        pay::<P>(card, 1).await?;
    }
    Ok(cents)
}

#[tokio::test]
async fn each_instance_of_a_generic_function_has_its_name() {
    let registry = durable::Registry::of((pay::<Visa>, pay::<Amex>, tokenize::<Visa>, tokenize::<Amex>));
    let workflows: Vec<_> = registry.workflows().map(|entry| entry.name.as_str()).collect();
    assert_eq!(workflows, ["pay-amex", "pay-visa"]);
    assert_eq!(registry.faults(&durable::States::default()), []);
    assert_eq!(tokenize::<Visa>(7).run_direct().await, Ok(7));
}

#[activity(name = "unnamed")]
async fn unnamed<T: Send + Serialize + serde::de::DeserializeOwned>(value: T) -> Result<T, String> {
    Ok(value)
}

#[test]
fn two_things_of_one_name_are_a_fault() {
    let registry = durable::Registry::of((unnamed::<u8>, unnamed::<u16>, unnamed::<u8>));
    let faults = registry.faults(&durable::States::default());
    let [fault] = &*faults else { panic!("{faults:?}") };
    assert!(fault.to_string().starts_with("two things are called `unnamed`"), "{fault}");
}

trait Source: Send {
    type Error: Serialize + serde::de::DeserializeOwned + durable::Retryable + Send + std::fmt::Display;
    fn get() -> Result<u8, Self::Error>;
}

struct Broken;

impl Source for Broken {
    type Error = durable::Failure;
    fn get() -> Result<u8, durable::Failure> {
        Err(durable::Failure::new("broken"))
    }
}

#[activity(name = "read", error = typed)]
async fn read<S: Source>(offset: u8) -> Result<u8, S::Error> {
    S::get().map(|value| value + offset)
}

#[activity(name = "read_any", error = failure)]
async fn read_any<S: Source>(offset: u8) -> Result<u8, S::Error>
where
    S::Error: std::error::Error + Sync,
{
    S::get().map(|value| value + offset)
}

#[tokio::test]
async fn a_generic_error_comes_back_as_it_is_said() {
    let error = read::<Broken>(1).run_direct().await.unwrap_err();
    assert_eq!(error, CallError::App(durable::Failure::new("broken")));
    assert_eq!(read_any::<Broken>(1).run_direct().await.unwrap_err().to_string(), "broken");
}

struct Shop;

impl Shop {
    #[activity]
    async fn open(name: String) -> Result<String, String> {
        Ok(format!("{name} is open"))
    }

    #[workflow]
    async fn day(name: String) -> durable::Result<String> {
        Ok(Shop::open(name).await?)
    }
}

mod inside {
    use durable::prelude::*;

    #[workflow]
    pub(crate) async fn nested(x: Option<u8>) -> Result<Option<u8>, String> {
        Ok(x)
    }
}

macro_rules! activities {
    ($($name:ident($argument:ident: $ty:ty);)*) => {
        $(
            #[activity]
            async fn $name($argument: $ty) -> Result<$ty, String> {
                Ok($argument)
            }
        )*
    };
}

activities! {
    made_one(x: u8);
    made_two(name: String);
}

#[tokio::test]
async fn methods_modules_and_functions_made_by_macros_are_found() {
    let registry = durable::Registry::of((Shop::open, Shop::day, inside::nested, made_one, made_two, factorial));
    assert_eq!(registry.activities().count(), 3);
    assert_eq!(registry.workflows().count(), 3);
    assert_eq!(made_one(3).run_direct().await, Ok(3));
    assert_eq!(Shop::open("tea".to_owned()).run_direct().await.unwrap(), "tea is open");
}

#[activity]
async fn defaults(a: u8, #[serde(default)] b: u8, c: Option<u8>, mut d: Vec<u8>) -> Result<u8, String> {
    d.push(a);
    Ok(d.len() as u8 + b + c.unwrap_or(0))
}

#[tokio::test]
async fn parameters_may_carry_serde_attributes_and_mut() {
    assert_eq!(defaults(1, 2, Some(3), vec![]).run_direct().await, Ok(6));
}

#[workflow]
async fn combinators(n: u32) -> anyhow::Result<usize> {
    let all = join_all((0..n).map(|i| fetch(i.to_string()))).await;
    let mut unordered: FuturesUnordered<_> = (0..n).map(|i| fetch(i.to_string())).collect();
    let mut count = all.len();
    while let Some(page) = unordered.next().await {
        count += page?.len();
    }
    let pages: Vec<_> = futures::stream::iter(vec!["a".to_owned()]).map(fetch).buffer_unordered(4).collect().await;
    let (left, right) = try_join!(fetch("l".to_owned()).retry(PATIENT), fetch("r".to_owned()).inputs(Inputs::Loose))?;
    let timed = tokio::select! {
        biased;
        page = fetch(left) => page?,
        page = fetch(right) => page?,
    };
    Ok(count + pages.len() + timed.len())
}

#[test]
fn calls_are_futures_that_any_combinator_takes() {
    fn check<T: Future + Unpin + Send>(_: &T) {}
    check(&fetch(String::new()));
    check(&factorial(1));
    check(&durable::step("x", || async { Ok::<u8, String>(1) }));
    assert_eq!(durable::Registry::of((combinators,)).workflows().count(), 1);
}

#[test]
fn the_functions_type_tells_what_its_runs_give() {
    fn outputs<M, F: WorkflowFn<M>>(_: F) -> (std::any::TypeId, std::any::TypeId)
    where
        F::Output: 'static,
        F::Error: 'static,
    {
        (std::any::TypeId::of::<F::Output>(), std::any::TypeId::of::<F::Error>())
    }
    let expected = (std::any::TypeId::of::<u64>(), std::any::TypeId::of::<durable::Failure>());
    assert_eq!(outputs(factorial), expected);
    assert_eq!(outputs(pay::<Visa>), expected);
}

/// A library's own registry goes into another one.
#[test]
fn registries_nest() {
    let library = durable::Registry::of((made_one, made_two));
    let all = durable::Registry::of((library, crate::shop::all(), no_arguments, made_one));
    assert_eq!(all.faults(&durable::States::default()).len(), 1, "only the shop's state is missing");
    assert!(all.activity("made_two").is_some() && all.activity("charge").is_some());
}

#[test]
fn a_call_is_small_and_its_options_are_kept() {
    assert_eq!(size_of_val(&sixteen(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)), size_of::<usize>());
    let call = fetch(String::new()).at_most_once().schedule_to_close(LIMIT);
    assert!(format!("{call:?}").contains("at_most_once: true"), "{call:?}");
}

#[workflow]
async fn biased(n: u32) -> Result<bool, String> {
    let first = (0..n).all(|_| {
        let mut polled = std::pin::pin!(async {
            select! { () = async {} => true, () = async {} => false }
        });
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        polled.as_mut().poll(&mut cx) == std::task::Poll::Ready(true)
    });
    Ok(first)
}

/// A user's own names do not collide with what is generated.
#[allow(non_camel_case_types, dead_code)]
mod shadows {
    use durable::prelude::{activity, workflow};

    pub(super) struct Result2;
    pub(super) struct Ok;
    pub(super) struct Vec;
    pub(super) struct Option;
    pub(super) struct Input;
    pub(super) struct Call;
    pub(super) type Result<T> = std::result::Result<T, ::std::string::String>;

    #[activity]
    pub(super) async fn registry(job: u8, __states: u8) -> Result<u8> {
        Result::<u8>::Ok(job + __states)
    }

    #[workflow]
    pub(super) async fn codec(input: u8, codec: u8) -> Result<u8> {
        Result::<u8>::Ok(input + codec)
    }
}

#[tokio::test]
async fn a_users_names_do_not_collide_with_generated_ones() {
    assert_eq!(shadows::registry(1, 2).run_direct().await, Ok(3));
    assert_eq!(durable::Registry::of((shadows::codec, biased)).workflows().count(), 2);
}

fn start<D: durable::__private::Workflow>(call: Call<D>) -> Call<D> {
    call
}

#[test]
fn a_workflows_call_is_a_value_to_start() {
    let call = start(factorial(3)).id("three").timeout(LIMIT);
    assert!(format!("{call:?}").contains("three"), "{call:?}");
}

/// The library under another path.
mod renamed {
    pub(crate) mod vendor {
        pub(crate) use ::durable as engine;
    }

    #[durable::activity(crate = crate::definitions::renamed::vendor::engine, start_to_close = "1s")]
    pub(super) async fn fetch(page: u8) -> Result<u8, String> {
        Ok(page)
    }

    #[durable::workflow(crate = crate::definitions::renamed::vendor::engine)]
    pub(super) async fn all(pages: u8) -> Result<u8, String> {
        let (first,) = join!(fetch(pages));
        first.map_err(|error| error.to_string())
    }

    #[derive(Debug, durable::Retryable)]
    #[retry(crate = crate::definitions::renamed::vendor::engine)]
    #[allow(dead_code)]
    pub(super) enum Unused {
        #[retry(never)]
        Gone,
    }
}

#[activity(name = format!("chunk-{N}"))]
async fn chunk<const N: usize>(bytes: Vec<u8>) -> Result<usize, String> {
    Ok(bytes.len() / N)
}

#[tokio::test]
async fn the_library_may_have_another_path_and_parameters_may_be_constants() {
    let registry = durable::Registry::of((renamed::fetch, renamed::all, chunk::<4>, chunk::<8>));
    assert!(registry.activity("chunk-4").is_some() && registry.activity("chunk-8").is_some());
    assert_eq!(chunk::<4>(vec![0; 9]).run_direct().await, Ok(2));
    assert_eq!(renamed::fetch(3).run_direct().await, Ok(3));
}
