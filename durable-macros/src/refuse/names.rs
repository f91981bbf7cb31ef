//! Which names the body itself declares or imports, block by block. What the file imports is not seen.

use proc_macro2::{Delimiter, TokenTree};

use super::{is_colons, is_punct, is_word};

/// An import of an import of an import ..: more are not followed.
const IMPORTS_MAX: usize = 4;

/// What the names of the enclosing blocks mean; the innermost block is last.
#[derive(Default)]
pub(super) struct Names(Vec<Name>);

struct Name {
    name: String,
    /// The path that is imported under the name; none if the name is declared here.
    path: Option<Vec<String>>,
}

impl Names {
    /// Takes in a block's names, and gives what [`Names::leave`] needs.
    pub(super) fn enter(&mut self, block: &[TokenTree]) -> usize {
        let before = self.0.len();
        for at in 0..block.len() {
            self.declared(block, at);
            if is_use(block, at) {
                self.imported(&block[at + 1..], Vec::new());
            }
        }
        before
    }

    /// Forgets the names of the block that is left.
    pub(super) fn leave(&mut self, before: usize) {
        self.0.truncate(before);
    }

    /// The whole path that a written one stands for; none if it is the body's own.
    pub(super) fn whole(&self, written: Vec<String>) -> Option<Vec<String>> {
        let mut path = written;
        for _ in 0..IMPORTS_MAX {
            let Some(first) = path.first() else { break };
            let Some(name) = self.0.iter().rev().find(|name| name.name == *first) else { break };
            let imported = name.path.as_ref()?;
            path.splice(..1, imported.iter().cloned());
            if path.first() == Some(&name.name) {
                break;
            }
        }
        Some(path)
    }

    fn declared(&mut self, block: &[TokenTree], at: usize) {
        const WORDS: [&str; 9] = ["mod", "struct", "enum", "union", "trait", "type", "fn", "const", "static"];
        let [TokenTree::Ident(word), TokenTree::Ident(name), ..] = &block[at..] else { return };
        if WORDS.iter().any(|declares| word == declares) {
            self.0.push(Name { name: name.to_string(), path: None });
        }
    }

    /// One tree of a `use`, up to its comma or semicolon.
    fn imported(&mut self, tree: &[TokenTree], above: Vec<String>) {
        let mut path = above;
        let mut at = if is_colons(tree, 0) { 2 } else { 0 };
        while let Some(TokenTree::Ident(segment)) = tree.get(at) {
            if segment != "self" || path.is_empty() {
                path.push(segment.to_string());
            }
            if !is_colons(tree, at + 1) {
                let renamed = if is_word(tree.get(at + 1), "as") { tree.get(at + 2) } else { None };
                let name = match renamed {
                    Some(TokenTree::Ident(name)) => Some(name.to_string()),
                    _ => path.last().cloned(),
                };
                self.0.extend(name.map(|name| Name { name, path: Some(path) }));
                return;
            }
            at += 3;
        }
        let Some(TokenTree::Group(group)) = tree.get(at) else { return };
        let inside: Vec<TokenTree> = group.stream().into_iter().collect();
        for tree in inside.split(|token| is_punct(Some(token), ',')) {
            self.imported(tree, path.clone());
        }
    }
}

/// Whether a `use` stands here, as the beginning of an item.
pub(super) fn is_use(block: &[TokenTree], at: usize) -> bool {
    let begins = match at.checked_sub(1).and_then(|before| block.get(before)) {
        None => true,
        Some(TokenTree::Punct(punct)) => punct.as_char() == ';',
        Some(TokenTree::Group(group)) => group.delimiter() != Delimiter::Parenthesis,
        Some(TokenTree::Ident(_) | TokenTree::Literal(_)) => false,
    };
    begins && is_word(block.get(at), "use")
}
