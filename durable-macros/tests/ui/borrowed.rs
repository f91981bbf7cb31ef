//! Arguments and results are owned.
use durable::prelude::*;

#[activity]
async fn reference(name: &str) -> Result<u8, String> {
    Ok(name.len() as u8)
}

#[activity]
async fn lent(names: &mut Vec<String>) -> Result<usize, String> {
    names.clear();
    Ok(names.len())
}

#[workflow]
async fn inside(names: Vec<&'static str>) -> Result<usize, String> {
    Ok(names.len())
}

#[workflow]
async fn lifetime<'a>(name: std::borrow::Cow<'a, str>) -> Result<usize, String> {
    Ok(name.len())
}

#[activity]
async fn result(name: String) -> Result<&str, String> {
    Ok("")
}

fn main() {
    let name = String::new();
    let _ = (reference(&name), lent(&mut vec![name.clone()]), inside(vec!["a"]));
}
