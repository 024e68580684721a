//! The wire types as TypeScript declares them: `npm/src/data/wire.generated.ts` and, of what the web
//! application alone asks for, `www/src/dedupe/wire.generated.ts` are made of the Rust types.

use std::fmt::Write as _;
use std::path::Path;

use ts_rs::{Config, TS};
use vidsieve::{
    CopyFile, CopyGroup, CopyMember, CopyPair, DedupeReport, ExcerptVideo, FileState, LinkedVideo, OtherName,
    RelatedPair, UntoldVideo,
};
use vidsieve_api::dedupe::{ChosenCopies, DecisionMark};
use vidsieve_api::videos::{Listed, Listing};
use vidsieve_api::{DecisionRequest, PlanRequest, ProblemCode, ProblemDetails, ProgressLine, PutResult, ServerModel};
use vidsieve_search::copies::{DuplicateCopy, DuplicateExcerpt, DuplicateGroup, DuplicatePair, DuplicateReport};
use vidsieve_search::{
    Coverage, CoverageSide, Explanation, Hit, HitStage, PageStage, Relation, SearchPage, SearchTimings, Segment,
    SegmentPlace, Untold,
};

use crate::copies::LocalCopyStep;
use crate::engine::{Compared, Inspected};
use crate::error::EngineErrorCode;
use crate::search::{LocalSearchOptions, LocalSearchStep};

/// The generated file of the package.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../npm/src/data/wire.generated.ts");
/// The generated file of the web application.
const PAGE_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../www/src/dedupe/wire.generated.ts");
/// Set to write the file instead of checking it.
const WRITE: &str = "VIDSIEVE_WRITE_TYPES";
const HEAD: &str = "\
// Generated from the Rust types; do not edit. To write it again:
// VIDSIEVE_WRITE_TYPES=1 cargo test -p vidsieve-wasm --features typescript --lib typescript
";

/// Longest line of a comment.
const WIDTH: usize = 100;

/// A comment of some lines of documentation.
fn comment(indent: &str, text: &str) -> String {
    // Links of rustdoc mean nothing here.
    let text = text.replace("[`", "`").replace("`]", "`");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = format!("{indent}/** {text} */");
    if line.len() <= WIDTH {
        return line + "\n";
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a line");
        if !last.is_empty() && indent.len() + 3 + last.len() + 1 + word.len() > WIDTH {
            lines.push(word.to_owned());
        } else {
            *last += if last.is_empty() { "" } else { " " };
            *last += word;
        }
    }
    let body: String = lines.iter().map(|line| format!("{indent} * {line}\n")).collect();
    format!("{indent}/**\n{body}{indent} */\n")
}

/// The parts of a type at its outermost separators.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut depth, mut start, mut in_comment) = (Vec::new(), 0i32, 0, false);
    for (i, c) in text.char_indices() {
        if text[i..].starts_with("/*") {
            in_comment = true;
        } else if in_comment {
            in_comment = !text[..=i].ends_with("*/");
        } else if matches!(c, '{' | '[' | '(' | '<') {
            depth += 1;
        } else if matches!(c, '}' | ']' | ')' | '>') {
            depth -= 1;
        } else if c == separator && depth == 0 {
            parts.push(&text[start..i]);
            start = i + c.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// `T[]` for `Array<T>`.
fn short_arrays(text: &str) -> String {
    const ARRAY: &str = "Array<";
    let Some((before, rest)) = text.split_once(ARRAY) else { return text.to_owned() };
    let mut depth = 1;
    let end = rest.find(|c| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0
    });
    let (element, after) = rest.split_at(end.expect("brackets are closed"));
    format!("{before}{}[]{}", short_arrays(element), short_arrays(&after[1..]))
}

/// An object of one line.
fn short_object(text: &str) -> String {
    let Some(fields) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else { return text.to_owned() };
    let fields = split(fields, ',').into_iter().map(|field| match field.split_once(':') {
        Some((key, value)) => format!("{}:{value}", key.trim_matches('"')),
        None => field.to_owned(),
    });
    format!("{{ {} }}", fields.collect::<Vec<_>>().join("; "))
}

/// A comment that ts-rs has written, and what follows it.
fn documented(part: &str) -> (Option<String>, &str) {
    let Some((docs, rest)) = part.strip_prefix("/**").and_then(|part| part.split_once("*/")) else {
        return (None, part);
    };
    let lines = docs.lines().map(|line| line.trim().trim_start_matches('*').trim());
    (Some(lines.collect::<Vec<_>>().join(" ")), rest.trim())
}

/// The fields of an object, or of one and those that are flattened into it.
fn fields_of(body: &str) -> Option<Vec<&str>> {
    let objects = split(body, '&').into_iter().map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    Some(objects.collect::<Option<Vec<_>>>()?.into_iter().flat_map(|object| split(object, ',')).collect())
}

/// The types that the package does not export: the compiler leaves them out of its declarations.
const INTERNAL: [&str; 3] = ["SearchStep", "DuplicateStep", "RecordInfo"];

/// The declaration of a type, laid out as the rest of the package is.
fn declaration<T: TS>(config: &Config) -> String {
    let declared = short_arrays(&T::decl(config));
    let (head, body) = declared.split_once('=').expect("a declaration has a body");
    let name = head.trim().trim_start_matches("type").trim();
    let body = body.trim().trim_end_matches(';').trim();
    let mut text = String::from("\n");
    if let Some(docs) = T::docs() {
        let (docs, _) = documented(docs.trim());
        let tag = if INTERNAL.contains(&name) { " @internal" } else { "" };
        text += &comment("", &(docs.unwrap_or_default() + tag));
    }
    let variants = split(body, '|');
    match fields_of(body) {
        Some(fields) if variants.len() == 1 => {
            let _ = writeln!(text, "export interface {name} {{");
            for field in fields {
                let (docs, field) = documented(field);
                text += &docs.map(|docs| comment("  ", &docs)).unwrap_or_default();
                let _ = writeln!(text, "  {field};");
            }
            text + "}\n"
        }
        _ if variants.len() > 1 => {
            let _ = writeln!(text, "export type {name} =");
            let last = variants.len() - 1;
            for (i, variant) in variants.into_iter().enumerate() {
                let (docs, variant) = documented(variant);
                text += &docs.map(|docs| comment("  ", &docs)).unwrap_or_default();
                let _ = writeln!(text, "  | {}{}", short_object(variant), if i == last { ";" } else { "" });
            }
            text
        }
        _ => format!("{text}export type {name} = {body};\n"),
    }
}

macro_rules! declarations {
    ($config:expr, $($type:ty),+ $(,)?) => { [$(declaration::<$type>(&$config)),+].concat() };
}

fn config() -> Config {
    Config::new().with_large_int("number")
}

/// The file of the package.
fn generated() -> String {
    let types = declarations![
        config(),
        SegmentPlace,
        Segment,
        Relation,
        CoverageSide,
        Coverage,
        Untold,
        Explanation,
        HitStage,
        Hit,
        SearchTimings,
        PageStage,
        SearchPage,
        LocalSearchOptions,
        LocalSearchStep,
        LocalCopyStep,
        DuplicateCopy,
        DuplicateGroup,
        DuplicateExcerpt,
        DuplicatePair,
        DuplicateReport,
        Compared,
        Inspected,
        EngineErrorCode,
        Listed,
        Listing,
        PutResult,
        ServerModel,
        ProblemCode,
        ProblemDetails,
    ];
    format!("{HEAD}{types}")
}

/// The file of the web application.
fn generated_for_the_page() -> String {
    let types = declarations![
        config(),
        ProgressLine,
        FileState,
        OtherName,
        CopyFile,
        CopyMember,
        CopyPair,
        CopyGroup,
        ExcerptVideo,
        LinkedVideo,
        RelatedPair,
        UntoldVideo,
        DedupeReport,
        DecisionMark,
        DecisionRequest,
        ChosenCopies,
        PlanRequest,
    ];
    format!("{HEAD}\nimport type {{ Coverage, Relation, Segment, Untold }} from \"vidsieve\";\n{types}")
}

#[test]
fn the_declarations_are_those_of_the_rust_types() {
    check(Path::new(FILE), &generated());
    check(Path::new(PAGE_FILE), &generated_for_the_page());
}

/// Checks that a file is what the types make of it, or writes it.
fn check(path: &Path, expected: &str) {
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        std::fs::write(path, expected).expect("the file can be written");
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "{} differs from the Rust types: run `{WRITE}=1 cargo test -p vidsieve-wasm --features typescript --lib \
         typescript` and commit it; it is to be\n{expected}",
        path.display()
    );
}
