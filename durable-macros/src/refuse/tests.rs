//! Which tokens of a body are refused: short bodies, with what is found in them.

use proc_macro2::{Group, TokenTree};

use super::{Family, families, what_replays_otherwise, words_without_meaning};
use crate::function::Kind;
use crate::shape::Problems;

/// What is refused, each as the path that the text begins with.
fn refused(body: &str) -> Vec<String> {
    refused_but(body, &[])
}

fn refused_but(body: &str, allowed: &[Family]) -> Vec<String> {
    let mut problems = Problems::default();
    what_replays_otherwise(&braces(body), allowed, &mut problems);
    paths(problems)
}

fn without_meaning(body: &str) -> Vec<String> {
    let mut problems = Problems::default();
    words_without_meaning(Kind::Workflow, braces(body).stream(), &mut problems);
    paths(problems)
}

fn braces(body: &str) -> Group {
    let body: proc_macro2::TokenStream = format!("{{ {body}\n}}").parse().expect("a test's body is made of tokens");
    match body.into_iter().next() {
        Some(TokenTree::Group(group)) => group,
        other => panic!("{other:?} is no body"),
    }
}

/// The first word in backticks of each text.
fn paths(problems: Problems) -> Vec<String> {
    problems.texts().iter().map(|text| text.split('`').nth(1).unwrap_or(text).to_owned()).collect()
}

#[track_caller]
fn refuses(body: &str, path: &str) {
    assert_eq!(refused(body), [path], "{body}");
}

#[track_caller]
fn takes(body: &str) {
    assert_eq!(refused(body), [""; 0], "{body}");
}

#[test]
fn what_replays_otherwise_is_found_by_its_path() {
    for path in [
        "tokio::spawn",
        "tokio::task::spawn",
        "tokio::task::spawn_blocking",
        "tokio::time::sleep",
        "tokio::time::sleep_until",
        "tokio::time::timeout",
        "tokio::time::interval",
        "std::thread::sleep",
        "thread::sleep",
        "thread::spawn",
        "time::sleep",
        "time::timeout",
        "task::spawn",
        "task::spawn_blocking",
        "env::var",
        "Instant::now",
        "SystemTime::now",
        "std::time::Instant::now",
        "chrono::Utc::now",
        "chrono::Local::now",
        "rand::random",
        "rand::thread_rng",
        "uuid::Uuid::new_v4",
        "std::env::var",
        "std::fs::read",
        "std::fs::File::open",
        "tokio::fs::read_to_string",
    ] {
        refuses(&format!("let x = {path}(1).await?;"), path);
        refuses(&format!("call(|| x.map({path}))"), path);
        refuses(&format!("return {path}::<Vec<u8>, fn() -> u8>(1)"), path);
    }
    refuses("return ::tokio::spawn(f);", "tokio::spawn");
    refuses("match x { 1 => ::std::env::var(\"A\"), _ => 2 }", "std::env::var");
    refuses("for i in 0..rand::random() {}", "rand::random");
    refuses("println!(\"{}\", rand::random::<u8>());", "rand::random");
    refuses("let y = ; tokio::spawn(f)", "tokio::spawn");
}

#[test]
fn a_path_of_the_users_own_is_none_of_ours() {
    for body in [
        "my::rand::random()",
        "crate::rand::random()",
        "self::thread::spawn(f)",
        "super::tokio::spawn(f)",
        "my::Instant::now()",
        "$crate::tokio::spawn(f)",
        "x.sleep().await; x.spawn(f); x . now()",
        "x.tokio.spawn(f)",
        "<Utc as Clock>::now()",
        "Vec::<Utc>::now()",
        "sleep(x).await; spawn(f); now(); random()",
        "tokio::sync::oneshot::channel::<u8>()",
        "tokio::time::Duration::from_secs(1)",
        "let x: std::fs::Metadata = y; let z: std::time::Instant = w;",
        "rand::rngs::StdRng::seed_from_u64(durable::random())",
        "durable::sleep(x).await; durable::spawn(f); durable::now()",
        "let x = \"tokio::spawn(f)\"; // tokio::spawn(f)",
        "/** tokio::spawn(f) */ struct A;",
        "#[doc(alias = tokio::spawn)] struct A;",
        "stringify!(tokio::spawn(f))",
        "macro_rules! later { () => { tokio::spawn(f) }; } later!()",
        "futures::select_biased! { x = y => z }",
        "std::env!(\"A\")",
    ] {
        takes(body);
    }
}

#[test]
fn what_the_body_imports_is_known() {
    refuses("use tokio::time::sleep; sleep(x).await", "tokio::time::sleep");
    refuses("use tokio::{sync::Mutex, time::{self, Duration}}; time::sleep(x).await", "tokio::time::sleep");
    refuses("use std::{fs as files, io}; files::read(x)", "std::fs::read");
    refuses("use std::time::Instant as Clock; Clock::now()", "std::time::Instant::now");
    refuses("use tokio::time; use time::sleep; { sleep(x).await }", "tokio::time::sleep");
    refuses("use rand; rand::random()", "rand::random");
    refuses("use rand::{self}; rand::random()", "rand::random");
    takes("use crate::Instant; Instant::now()");
    takes("use my::{rand, thread as tokio}; rand::random(); tokio::spawn(f)");
    takes("struct Instant; Instant::now(); mod rand {} rand::random()");
    takes("use tokio::time::sleep; let x = Nap { sleep }; x.sleep()");
    takes("use tokio::time::sleep; fn f() { fn sleep() {} sleep() }");
    refuses("{ use my::rand; } rand::random()", "rand::random");
}

#[test]
fn branches_at_random_are_found_by_their_macro() {
    refuses("tokio::select! { x = y => z }", "tokio::select!");
    refuses("Ok(::futures::select! { x = y => z })", "futures::select!");
    refuses("futures_util::select! { x = y => z }", "futures_util::select!");
    refuses("use tokio::select; select! { x = y => z }", "tokio::select!");
    refuses("use futures::select as any; any! { x = y => z }", "futures::select!");
    takes("use tokio::select; select! { biased; x = y => z }");
    takes("tokio::select! { biased; x = y => z }");
    takes("select! { x = y => z }");
    takes("my::select! { x = y => z }");
    refuses("select! { x = tokio::time::sleep(y) => z }", "tokio::time::sleep");
}

#[test]
fn the_closure_of_a_step_may_say_anything() {
    takes("durable::step(\"a\", || async { Ok(Utc::now()) }).await?;");
    takes("step(\"a\", move || async move { tokio::time::sleep(x).await; Ok(()) }).retry(y).await?;");
    takes("durable::step_with(\"a\", (x, y), |(x, y)| async { std::fs::read(x) }).await?;");
    takes("durable::step::<_, _, _>(\"a\", async || Ok(rand::random())).await?;");
    takes("durable::step(\"a\", { let c = c.clone(); move || async { c.at(Instant::now()) } }).await?;");
    takes("durable::step(\"a\", { let c = c.clone(); move || async { c.at(Instant::now()) } },).await?;");
    takes("use durable::step as work; work(\"a\", || async { Ok(Utc::now()) }).await?;");
    refuses("durable::step_with(\"a\", Utc::now(), |t| async { f(t) }).await?;", "Utc::now");
    refuses("durable::step(format!(\"{:?}\", Utc::now()), || async { f() }).await?;", "Utc::now");
    refuses("durable::step(\"a\", { let t = Utc::now(); move || async { f(t) } }).await?;", "Utc::now");
    refuses("durable::step(\"a\", || async { f() }).retry(rand::random()).await?;", "rand::random");
    refuses("builder.step(\"a\", || Utc::now());", "Utc::now");
}

#[test]
fn a_workflow_or_an_activity_in_the_body_is_not_the_bodys() {
    takes("#[activity] async fn a() -> Result<u8, String> { tokio::time::sleep(x).await; Ok(1) } a().await");
    takes("#[durable::activity(retry = none())] fn a() -> Result<u8, String> { std::fs::read(x); Ok(1) }");
    refuses("#[inline] fn a() -> u64 { rand::random() }", "rand::random");
    refuses("#[activity] fn a() -> Result<u8, String> { f() } Utc::now()", "Utc::now");
}

#[test]
fn a_family_is_allowed_by_its_name() {
    let body = "Utc::now(); tokio::time::sleep(a); tokio::spawn(b); rand::random(); std::env::var(c); std::fs::read(d); \
                tokio::select! {}";
    let all = refused(body);
    assert_eq!(all.len(), families().len(), "{all:?}");
    for (i, (name, family)) in families().into_iter().enumerate() {
        let mut others = all.clone();
        others.remove(i);
        assert_eq!(refused_but(body, &[family]), others, "{name}");
    }
}

#[test]
fn a_body_has_no_self() {
    assert_eq!(without_meaning("self.x + self.y"), ["self"]);
    assert_eq!(without_meaning("Self::x(); Vec::<Self>::new()"), ["Self"]);
    assert_eq!(without_meaning("f(|x| { g!(self) })"), ["self"]);
    for body in [
        "self::x()",
        "use self::x; use x::{self, y};",
        "struct A { next: Box<Self> } impl A { fn f(&self) -> Self { self.g() } }",
        "trait A { fn f(&self) -> Self; }",
        "pub enum A { B(Box<Self>) }",
        "pub(self) fn f() {}",
        "x.self_id()",
    ] {
        assert_eq!(without_meaning(body), [""; 0], "{body}");
    }
}
