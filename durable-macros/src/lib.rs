//! The attribute and derive macros of `durable`. They check the shape of a function, give names to things and call
//! generic functions of the library; what an engine does is never decided here.

mod expand;
mod function;
mod options;
mod refuse;
mod retryable;
mod shape;

use proc_macro::TokenStream;

use crate::function::Kind;

/// Makes an activity of an `async fn`, or of a plain `fn` that may block its thread.
///
/// The function then returns a call. Awaited in a workflow it is recorded. Arguments are owned and are recorded as a map
/// by parameter name; `State(x): State<T>` is no argument, it is what the application gave to the runtime's builder.
///
/// Everything that fails is tried again, but what is said to be final: `#[retry(never)]` with `derive(Retryable)`, or
/// `durable::fatal(..)`.
///
/// Options, separated by commas; constant expressions, with the names of `durable::retry` in scope:
///
/// - `start_to_close = "30s"`: how long one attempt may run (five minutes);
/// - `schedule_to_close = "1h"`: how long the whole call may take;
/// - `retry = exponential("100ms", 2.0).max_interval("10s").max_attempts(5)`: when to try again;
/// - `at_most_once`: an attempt that may have begun is never started again;
/// - `inputs = Strict`, `Loose`: what a changed input means at replay;
/// - `name = "charge"`: the recorded name, where it is not the function's; for a generic function an expression;
/// - `error = typed`, `failure`: how the error comes back, where its type depends on a generic parameter;
/// - `crate = path`: where the library is, if not at `::durable`.
#[proc_macro_attribute]
pub fn activity(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(Kind::Activity, options.into(), item.into()).into()
}

/// Makes a workflow of an `async fn`.
///
/// The function then returns a call: started by a runtime it is a run, awaited in a workflow it is a child. Arguments
/// are owned and are recorded as a map by parameter name: a new one needs `Option` or `#[serde(default)]`, and one that
/// is renamed, if only to `_name`, is another one to the runs that are open. In the body
/// the names `select!`, `join!` and `try_join!` are the library's, which poll in the order that is written. What would
/// say something else at replay (a clock, a random number, a task of its own, a file) is refused there, but for the
/// closures of steps; names of the user's own never are.
///
/// Options, separated by commas:
///
/// - `version = 2`: runs are stamped with it (1);
/// - `timeout = "30d"`: how long a run may take;
/// - `inputs = Strict`, `Loose`: what a changed input means where it is a child;
/// - `allow(clock, sleep, spawn, random, env, io, select)`: takes some of these in the body all the same, where they do
///   no harm: a clock that is only logged;
/// - `name = "checkout"`: the recorded name, where it is not the function's; for a generic function an expression, as
///   `name = format!("checkout-{}", P::NAME)`;
/// - `error = typed`, `failure`: how the error comes back, where its type depends on a generic parameter;
/// - `crate = path`: where the library is, if not at `::durable`.
#[proc_macro_attribute]
pub fn workflow(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(Kind::Workflow, options.into(), item.into()).into()
}

/// Says which errors are final: `#[retry(never)]` on a variant or on the type; `#[retry(after = "5s")]`, or an
/// expression over the fields, as the shortest wait; `#[retry(transparent)]` asks the only field. Everything else is
/// tried again. `#[retry(crate = path)]` on the type says where the library is, if not at `::durable`.
#[proc_macro_derive(Retryable, attributes(retry))]
pub fn retryable(item: TokenStream) -> TokenStream {
    retryable::derive(item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}
