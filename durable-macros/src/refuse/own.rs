//! `self` and `Self`, which mean nothing in the body of a function that has become a definition. What the body declares
//! with an `impl`, a trait or a type has its own.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{after_item, group, is_colons, is_punct};
use crate::function::Kind;
use crate::shape::Problems;

/// Refuses the first `self` and the first `Self` of a body.
pub(crate) fn words_without_meaning(kind: Kind, body: TokenStream, problems: &mut Problems) {
    let mut found = Found::default();
    look(body, &mut found);
    let noun = kind.noun();
    if let Some(token) = found.value {
        problems.add(token, format!("{noun} has no `self`: {}", kind.instead_of_self()));
    }
    if let Some(token) = found.ty {
        problems.add(token, format!("write the type's name: `Self` is not known inside {noun}"));
    }
}

#[derive(Default)]
struct Found {
    value: Option<TokenTree>,
    ty: Option<TokenTree>,
}

fn look(stream: TokenStream, found: &mut Found) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at = match token {
            TokenTree::Ident(word) if has_its_own(&word.to_string()) => after_item(&tokens, at),
            TokenTree::Ident(word) if word == "Self" => {
                found.ty.get_or_insert_with(|| token.clone());
                at + 1
            }
            TokenTree::Ident(word) if word == "self" && is_value(&tokens, at) => {
                found.value.get_or_insert_with(|| token.clone());
                at + 1
            }
            // As in `pub(self)`.
            TokenTree::Ident(word) if word == "pub" && group(&tokens, at + 1).is_some() => at + 2,
            TokenTree::Group(group) => {
                look(group.stream(), found);
                at + 1
            }
            TokenTree::Punct(_) if is_punct(Some(token), '#') && is_attribute(tokens.get(at + 1)) => at + 2,
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
        };
    }
}

fn has_its_own(word: &str) -> bool {
    matches!(word, "impl" | "trait" | "struct" | "enum" | "mod" | "use" | "macro_rules")
}

/// Not the `self` of a path.
fn is_value(tokens: &[TokenTree], at: usize) -> bool {
    let is_below = at.checked_sub(2).is_some_and(|before| is_colons(tokens, before));
    !is_below && !is_colons(tokens, at + 1)
}

fn is_attribute(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket)
}
