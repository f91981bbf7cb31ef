//! What a workflow's body may not say, found by its tokens: combinators that take a branch at random.

use proc_macro2::{TokenStream, TokenTree};

use crate::shape::Problems;

/// Refuses `tokio::select!` without `biased;`, and `futures::select!`.
pub(crate) fn random_branches(body: TokenStream, problems: &mut Problems) {
    let tokens: Vec<TokenTree> = body.into_iter().collect();
    for (i, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            random_branches(group.stream(), problems);
        }
        check(token, tokens.get(i..).unwrap_or_default(), problems);
    }
}

fn check(token: &TokenTree, from_here: &[TokenTree], problems: &mut Problems) {
    let TokenTree::Ident(library) = token else { return };
    let [_, colon, second, TokenTree::Ident(name), bang, TokenTree::Group(branches), ..] = from_here else { return };
    let is_call = is_punct(colon, ':') && is_punct(second, ':') && is_punct(bang, '!') && name == "select";
    if !is_call {
        return;
    }
    let instead = "write `select!`, which is the library's here and tries the branches in the order that is written";
    if library == "tokio" && !is_biased(branches.stream()) {
        problems.add(name, format!("`tokio::select!` takes a branch at random, another one at replay: {instead}"));
    }
    if library == "futures" || library == "futures_util" {
        problems.add(name, format!("`{library}::select!` takes a branch at random, another one at replay: {instead}"));
    }
}

fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

fn is_biased(branches: TokenStream) -> bool {
    let mut tokens = branches.into_iter();
    let word = matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == "biased");
    word && tokens.next().is_some_and(|token| is_punct(&token, ';'))
}
