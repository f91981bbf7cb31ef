//! The walk over a workflow's body: from path to path, outside the closures of steps. It parses nothing, so a half-typed
//! body is walked as well.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

use super::names::{Names, is_use};
use super::table::{self, Family, Rule};
use super::{after_item, group, is_colons, is_punct, is_word};
use crate::shape::Problems;

pub(super) struct Walk<'a> {
    allowed: &'a [Family],
    problems: &'a mut Problems,
    names: Names,
}

/// A path as it stands in the body.
struct Written<'a> {
    tokens: &'a [TokenTree],
    segments: Vec<String>,
    /// It begins with `::`, so that no name of the body is its first.
    is_absolute: bool,
    /// Where the tokens go on.
    end: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(allowed: &'a [Family], problems: &'a mut Problems) -> Walk<'a> {
        Walk { allowed, problems, names: Names::default() }
    }

    pub(super) fn tokens(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        self.block(&tokens);
    }

    fn block(&mut self, tokens: &[TokenTree]) {
        let before = self.names.enter(tokens);
        let mut at = 0;
        while at < tokens.len() {
            at = self.next(tokens, at);
        }
        self.names.leave(before);
    }

    /// Looks at what stands here, and gives where the tokens go on.
    fn next(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        match &tokens[at] {
            TokenTree::Group(group) => self.tokens(group.stream()),
            TokenTree::Punct(punct) if punct.as_char() == '#' => return after_attribute(tokens, at),
            TokenTree::Punct(_) if is_colons(tokens, at) => return self.path(tokens, at),
            TokenTree::Ident(_) if is_use(tokens, at) => return after_item(tokens, at),
            // What it stands for is seen where it is used, or not at all.
            TokenTree::Ident(word) if word == "macro_rules" => return after_item(tokens, at),
            TokenTree::Ident(_) => return self.path(tokens, at),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at + 1
    }

    fn path(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let Some(written) = written(tokens, at) else { return at + 1 };
        if follows(tokens, at) {
            return written.end;
        }
        let path = if written.is_absolute { Some(written.segments.clone()) } else { self.whole(&written) };
        let is_macro = is_punct(tokens.get(written.end), '!');
        match group(tokens, written.end + 1) {
            Some(branches) if is_macro => self.macro_call(&written, path.as_deref(), branches),
            _ => self.name(&written, path.as_deref(), tokens),
        }
    }

    fn whole(&self, written: &Written<'_>) -> Option<Vec<String>> {
        self.names.whole(written.segments.clone())
    }

    fn macro_call(&mut self, written: &Written<'_>, path: Option<&[String]>, argument: &Group) -> usize {
        let path = path.unwrap_or_default().join("::");
        if path == "stringify" {
            return written.end + 2;
        }
        match table::of_macro(&path) {
            Some(rule) if !is_biased(argument.stream()) => self.refuse(written, &path, "!", rule),
            Some(_) | None => {}
        }
        written.end + 1
    }

    fn name(&mut self, written: &Written<'_>, path: Option<&[String]>, tokens: &[TokenTree]) -> usize {
        let Some(path) = path else { return written.end };
        let open = after_generics(tokens, written.end);
        let call = group(tokens, open).filter(|group| group.delimiter() == Delimiter::Parenthesis);
        let is_named = written.segments.len() > 1 || call.is_some();
        let whole = path.join("::");
        if let Some(rule) = table::of_function(&whole).filter(|_| is_named) {
            self.refuse(written, &whole, "", rule);
        }
        let is_step = path.last().is_some_and(|last| last == "step" || last == "step_with");
        match call {
            Some(arguments) if is_step => {
                let arguments: Vec<TokenTree> = arguments.stream().into_iter().collect();
                self.outside_the_closure(&arguments);
                open + 1
            }
            Some(_) | None => written.end,
        }
    }

    /// What a step's name and input say is said by the workflow; what its closure says is recorded.
    fn outside_the_closure(&mut self, arguments: &[TokenTree]) {
        if let Some(begin) = (0..arguments.len()).find(|at| begins_closure(arguments, *at)) {
            return self.block(&arguments[..begin]);
        }
        match arguments.split_last() {
            Some((TokenTree::Group(block), before)) if block.delimiter() == Delimiter::Brace => {
                self.block(before);
                let block: Vec<TokenTree> = block.stream().into_iter().collect();
                self.outside_the_closure(&block);
            }
            Some((comma, before)) if is_punct(Some(comma), ',') => self.outside_the_closure(before),
            Some(_) | None => self.block(arguments),
        }
    }

    fn refuse(&mut self, written: &Written<'_>, path: &str, mark: &str, rule: &Rule) {
        if self.allowed.contains(&rule.family) {
            return;
        }
        let is_short = written.segments.join("::") != path;
        let what = if is_short { format!("`{path}{mark}`, under this name,") } else { format!("`{path}{mark}`") };
        let (why, instead, family) = (rule.why, rule.instead, rule.family.name());
        let at: TokenStream = written.tokens.iter().cloned().collect();
        self.problems
            .add(at, format!("{what} {why}: {instead}; where it does no harm, say `#[workflow(allow({family}))]`"));
    }
}

/// The path that begins here; none if these colons begin none.
fn written(tokens: &[TokenTree], begin: usize) -> Option<Written<'_>> {
    let is_absolute = is_colons(tokens, begin);
    let mut end = if is_absolute { begin + 2 } else { begin };
    let mut segments = Vec::new();
    while let Some(TokenTree::Ident(segment)) = tokens.get(end) {
        segments.push(segment.to_string());
        end += 1;
        let goes_on = is_colons(tokens, end) && matches!(tokens.get(end + 2), Some(TokenTree::Ident(_)));
        if is_keyword(segment) || !goes_on {
            break;
        }
        end += 2;
    }
    let tokens = tokens.get(begin..end).filter(|_| !segments.is_empty())?;
    Some(Written { tokens, segments, is_absolute, end })
}

/// Whether what stands here belongs to something before it: a method, a lifetime, a name below a type or a variable of a
/// macro.
fn follows(tokens: &[TokenTree], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at));
    let Some(TokenTree::Punct(punct)) = before(1) else { return false };
    match punct.as_char() {
        '.' => !is_punct(before(2), '.'),
        '\'' | '$' => true,
        '>' => is_colons(tokens, at) && !is_punct(before(2), '=') && !is_punct(before(2), '-'),
        _ => false,
    }
}

fn after_attribute(tokens: &[TokenTree], at: usize) -> usize {
    let brackets = if is_punct(tokens.get(at + 1), '!') { at + 2 } else { at + 1 };
    let Some(attribute) = group(tokens, brackets) else { return at + 1 };
    // A workflow or an activity inside the body is looked at by its own attribute.
    if is_definition(attribute) { after_item(tokens, brackets + 1) } else { brackets + 1 }
}

fn is_definition(attribute: &Group) -> bool {
    let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
    let path = written(&tokens, 0);
    path.and_then(|path| path.segments.last().cloned()).is_some_and(|last| last == "activity" || last == "workflow")
}

/// Where the tokens go on after `::<..>`, if that stands here.
fn after_generics(tokens: &[TokenTree], at: usize) -> usize {
    if !is_colons(tokens, at) || !is_punct(tokens.get(at + 2), '<') {
        return at;
    }
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(at + 2) {
        let is_arrow = is_punct(tokens.get(i - 1), '-');
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' && !is_arrow => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

/// Whether a closure begins here, as an argument or as the end of a block.
fn begins_closure(tokens: &[TokenTree], at: usize) -> bool {
    let is_begin = match at.checked_sub(1).and_then(|before| tokens.get(before)) {
        None => true,
        Some(TokenTree::Punct(punct)) => matches!(punct.as_char(), ',' | ';'),
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
        Some(TokenTree::Ident(_) | TokenTree::Literal(_)) => false,
    };
    let token = tokens.get(at);
    is_begin && (is_punct(token, '|') || is_word(token, "move") || is_word(token, "async"))
}

fn is_biased(branches: TokenStream) -> bool {
    let mut tokens = branches.into_iter();
    is_word(tokens.next().as_ref(), "biased") && is_punct(tokens.next().as_ref(), ';')
}

/// Whether a path that follows the word is another one.
fn is_keyword(word: &Ident) -> bool {
    const WORDS: [&str; 18] = [
        "as", "await", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move", "mut",
        "ref", "return", "while", "yield",
    ];
    WORDS.iter().any(|keyword| word == keyword)
}
