//! What a body may not say, found by its tokens: what would say something else at replay, and what has no meaning in it.
//! A name counts only where it can be nobody else's: what follows another name or a `.`, what the body declares or
//! imports from elsewhere, is the user's own.

mod names;
mod own;
mod table;
#[cfg(test)]
mod tests;
mod walk;

use proc_macro2::{Group, TokenTree};

use crate::shape::Problems;

pub(crate) use self::own::words_without_meaning;
pub(crate) use self::table::{Family, families};

/// Refuses what would say something else at replay, but for the families that are allowed.
pub(crate) fn what_replays_otherwise(body: &Group, allowed: &[Family], problems: &mut Problems) {
    walk::Walk::new(allowed, problems).tokens(body.stream());
}

fn is_punct(token: Option<&TokenTree>, char: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == char)
}

fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}

/// Whether `::` stands here.
fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

/// The group that stands here.
fn group(tokens: &[TokenTree], at: usize) -> Option<&Group> {
    match tokens.get(at) {
        Some(TokenTree::Group(group)) => Some(group),
        _ => None,
    }
}

/// Where the tokens go on after the next braces or semicolon.
fn after_item(tokens: &[TokenTree], from: usize) -> usize {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    let rest = tokens.get(from..).unwrap_or_default();
    rest.iter().position(is_end).map_or(tokens.len(), |end| from + end + 1)
}
