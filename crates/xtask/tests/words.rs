//! Plain words: phrases that readers have to guess at do not come back, and one thing has one name.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pages;

use std::path::Path;

use pages::{files, name, read, root};

/// A phrase and what to write instead.
type Phrase = (&'static str, &'static str);

/// Refused in code, comments and documents.
const EVERYWHERE: [Phrase; 11] = [
    ("whoever", "who it is: the caller, the client, the next process"),
    ("nobody", "no client, no caller, nothing"),
    ("who wants to", "lets callers"),
    ("who compares", "the caller"),
    ("at first sight", "(leave it out)"),
    ("has not the", "lacks the"),
    ("is told", "is reported, gets, is named"),
    ("are told", "are reported, get, are named"),
    ("was told", "was reported, got, was named"),
    ("who is looked at again", "which pairs are re-ranked"),
    ("the project's mathematics", "`docs/mathematics.md`"),
];

/// Refused in documents, in what the command and the API say of themselves, and in the package and the page.
const DOCUMENTS: [Phrase; 10] = [
    ("what is there", "what is already indexed, published, installed"),
    ("is there where", "is present where"),
    ("in work", "being encoded, being read"),
    ("for good", "permanently"),
    ("for ever", "permanently, without end"),
    ("mends", "restores, repairs"),
    ("who is doubted", "pairs flagged for re-ranking"),
    ("looks again", "re-ranks, compares again"),
    ("internal fault", "internal error"),
    ("fault of the program", "internal error"),
];

/// Replaces the mark of a comment at the beginning of a line by spaces.
fn without_mark(line: &str) -> String {
    let text = line.trim_start();
    let mark = ["///", "//!", "//", "* "].into_iter().find(|mark| text.starts_with(mark)).unwrap_or_default();
    format!("{}{}", " ".repeat(line.len() - text.len() + mark.len()), &text[mark.len()..])
}

/// Lines of a text that hold a phrase as whole words, ends of lines counting as spaces.
fn lines_with(text: &str, phrase: &str) -> Vec<usize> {
    let lower = text.to_lowercase();
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    // A phrase may go over the end of a line, with the marks of a comment between.
    let flat: String = lower.split_inclusive('\n').map(without_mark).collect();
    let mut found = Vec::new();
    let words: Vec<(usize, &str)> = flat
        .split_inclusive(char::is_whitespace)
        .scan(0, |at, part| {
            let start = *at;
            *at += part.len();
            Some((start, part.trim()))
        })
        .filter(|(_, word)| !word.is_empty())
        .collect();
    let wanted: Vec<&str> = phrase.split(' ').collect();
    for window in words.windows(wanted.len()) {
        let fits = window.iter().zip(&wanted).enumerate().all(|(i, ((_, word), wanted))| {
            let Some(at) = word.find(wanted) else { return false };
            let (before, after) = (&word[..at], &word[at + wanted.len()..]);
            (i == 0 || before.is_empty())
                && (i + 1 == window.len() || after.is_empty())
                && !is_word(before.chars().next_back())
                && !is_word(after.chars().next())
        });
        if fits {
            found.push(flat[..window[0].0].matches('\n').count() + 1);
        }
    }
    found
}

/// The faults of files, a line each.
fn faults(paths: &[std::path::PathBuf], phrases: &[Phrase], of: impl Fn(&Path, String) -> String) -> Vec<String> {
    let mut faults = Vec::new();
    for path in paths.iter().filter(|path| !path.ends_with("xtask/tests/words.rs")) {
        let text = of(path, read(path));
        for (phrase, instead) in phrases {
            for line in lines_with(&text, phrase) {
                faults.push(format!("{}:{line}: \"{phrase}\"; write: {instead}", name(path)));
            }
        }
    }
    faults
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "plain words:\n  {}", faults.join("\n  "));
}

#[test]
fn phrases_are_found_over_ends_of_lines() {
    let text = "/// This is\n/// told. Nobody\nknows: `nobody_else`.";
    assert_eq!(lines_with(text, "is told"), [1]);
    assert_eq!(lines_with(text, "nobody"), [2]);
    assert_eq!(lines_with("/**\n * It is\n * told.\n */", "is told"), [2]);
    assert_eq!(lines_with("mandated", "date"), Vec::<usize>::new());
}

#[test]
fn code_and_comments() {
    // Tests may name what they simulate as they like.
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
    let sources: Vec<_> = ["crates", "workers"]
        .iter()
        .flat_map(|folder| files(folder, &[".rs", ".mjs"]))
        .filter(|path| !is_test(path))
        .collect();
    assert!(sources.len() > 300, "{} files", sources.len());
    none(&faults(&sources, &EVERYWHERE, |_, text| text));
}

#[test]
fn documents() {
    let mut documents = files("", &[".md"]);
    documents.extend(files("crates/api", &[".json"]));
    let phrases: Vec<Phrase> = EVERYWHERE.iter().chain(&DOCUMENTS).copied().collect();
    none(&faults(&documents, &phrases, |_, text| text));
}

/// The doc comments and messages of the package, and the texts of the page.
#[test]
fn package_and_page() {
    let mut sources = files("npm/src", &[".ts"]);
    sources.extend(files("www/src", &[".ts"]));
    sources.push(root().join("www/index.html"));
    assert!(sources.len() > 80, "{} files", sources.len());
    let phrases: Vec<Phrase> = EVERYWHERE.iter().chain(&DOCUMENTS).copied().collect();
    none(&faults(&sources, &phrases, |_, text| text));
}

/// What `--help` and the manual say: the doc comments of options, and texts for clap.
#[test]
fn help_of_the_command() {
    let is_help = |line: &str| {
        let line = line.trim_start();
        line.starts_with("///") || line.starts_with('"') || line.contains("help")
    };
    let of = |_: &Path, text: String| -> String {
        text.lines().map(|line| if is_help(line) { format!("{line}\n") } else { "\n".to_owned() }).collect()
    };
    none(&faults(&files("crates/cli/src", &[".rs"]), &DOCUMENTS, of));
}
