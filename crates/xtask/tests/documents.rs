//! Documents hold what they promise: links and anchors resolve, functions that are named exist, sections
//! that comments name exist, figures that are quoted from the model card stand there.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pages;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use pages::{Block, Page, PageLink, files, name, pages, read, root};

/// Fails with all faults at once.
fn none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}

/// Resolves `.` and `..` without asking the disk.
fn resolved(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

/// Splits a relative link in its path and its anchor; `None` for links to elsewhere.
fn relative(link: &PageLink) -> Option<(&str, Option<&str>)> {
    if link.target.contains("://") || link.target.starts_with("mailto:") {
        return None;
    }
    Some(match link.target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (&link.target, None),
    })
}

fn target_of(page: &Page, path: &str) -> PathBuf {
    if path.is_empty() { page.path.clone() } else { resolved(&page.path.parent().expect("a folder").join(path)) }
}

#[test]
fn links_and_anchors_resolve() {
    let pages = pages();
    assert!(pages.len() > 20, "{} pages", pages.len());
    let anchors: BTreeMap<&Path, Vec<String>> = pages.iter().map(|p| (&*p.path, p.anchors())).collect();
    let (mut faults, mut checked) = (Vec::new(), 0);
    for page in &pages {
        for link in page.blocks.iter().flat_map(|block| &block.links) {
            let Some((path, anchor)) = relative(link) else { continue };
            checked += 1;
            let target = target_of(page, path);
            if !target.exists() || !target.starts_with(root()) {
                faults.push(format!("{}: {} does not exist", name(&page.path), link.target));
            } else if let Some(anchor) = anchor
                && !anchors.get(&*target).is_some_and(|all| all.iter().any(|a| a == anchor))
            {
                faults.push(format!("{}: no heading for {}", name(&page.path), link.target));
            }
        }
    }
    assert!(checked > 200, "{checked} links");
    none("links that lead nowhere", &faults);
}

/// Returns whether a Rust file defines an item, a field or a method of this name, or is the module of this name.
fn defines(path: &Path, text: &str, item: &str) -> bool {
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).and_then(|s| s.to_str()).unwrap_or_default();
    if stem == item || (stem == "mod" && folder == item) {
        return true;
    }
    let kinds = ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "macro_rules!", "pub"];
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || "(<{;".contains(c)).collect();
    words.windows(2).any(|pair| kinds.contains(&pair[0]) && pair[1].trim_end_matches(':') == item)
}

#[test]
fn functions_that_documents_name_exist() {
    let (mut faults, mut checked) = (Vec::new(), 0);
    for page in pages() {
        for link in page.blocks.iter().flat_map(|block| &block.links) {
            let (Some((path, None)), Some(code)) = (relative(link), &link.code) else { continue };
            let is_item = code.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
            if !path.ends_with(".rs") || !is_item {
                continue;
            }
            let (target, item) = (target_of(&page, path), code.rsplit("::").next().unwrap_or(code));
            if target.exists() {
                checked += 1;
                if !defines(&target, &read(&target), item) {
                    faults.push(format!("{}: `{code}` is not in {path}", name(&page.path)));
                }
            }
        }
    }
    assert!(checked > 60, "{checked} items");
    none("items that are gone", &faults);
}

/// The numbers after `§` in a text: `2.1` in "§2.1".
fn sections(text: &str) -> BTreeSet<String> {
    text.split('§')
        .skip(1)
        .map(|rest| {
            let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            number.trim_end_matches('.').to_owned()
        })
        .filter(|number| !number.is_empty())
        .collect()
}

#[test]
fn sections_that_comments_name_exist() {
    let page = Page::open(&root().join("docs/mathematics.md"));
    let headings: BTreeSet<String> = page
        .blocks
        .iter()
        .filter(|block| block.is_heading)
        .filter_map(|block| block.text.split_whitespace().next())
        .map(|number| number.trim_end_matches('.').to_owned())
        .collect();
    let (mut faults, mut checked) = (Vec::new(), 0);
    for path in files("crates", &[".rs"]).into_iter().chain(files("docs", &[".md"])) {
        if path.ends_with("xtask/tests/documents.rs") {
            continue;
        }
        for number in sections(&read(&path)) {
            checked += 1;
            if !headings.contains(&number) {
                faults.push(format!("{}: §{number}", name(&path)));
            }
        }
    }
    assert!(checked > 20, "{checked} references");
    none("sections that docs/mathematics.md lacks", &faults);
}

/// The decimal fractions in a text, without a leading zero: `.548` of "0.548". Numbers of versions, sections and
/// units that stand beside letters are passed over.
fn decimals(text: &str) -> BTreeSet<String> {
    let characters: Vec<char> = text.chars().collect();
    let is_part = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || ".§_/".contains(*c));
    let mut found = BTreeSet::new();
    let mut i = 0;
    while i < characters.len() {
        let start = i;
        while characters.get(i).is_some_and(char::is_ascii_digit) {
            i += 1;
        }
        let whole = i;
        if characters.get(i) == Some(&'.') && characters.get(i + 1).is_some_and(char::is_ascii_digit) {
            i += 1;
            while characters.get(i).is_some_and(char::is_ascii_digit) {
                i += 1;
            }
            let follows = characters.get(i) == Some(&'.') && characters.get(i + 1).is_some_and(char::is_ascii_digit);
            let before = start.checked_sub(1).and_then(|b| characters.get(b));
            if !is_part(before) && !follows && !characters.get(i).is_some_and(|c| c.is_alphabetic()) {
                let number: String = characters[start..i].iter().collect();
                let zero = characters[start..whole] == ['0'];
                found.insert(if zero { number[1..].to_owned() } else { number });
            }
        } else {
            i = i.max(start + 1);
        }
    }
    found
}

#[test]
fn decimal_fractions_are_recognised() {
    let found = decimals("0.548 and .724; 12.5 s, v1.2.3, §2.1, 4.0x, docs/a.5, twice .724.");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [".548", ".724", "12.5"]);
}

#[test]
fn quoted_figures_stand_in_the_model_card() {
    let card = root().join("models/README.md");
    let known = decimals(&read(&card));
    let (mut faults, mut quotes) = (Vec::new(), 0);
    for page in pages().iter().filter(|page| page.path != card) {
        let quoting = |link: &PageLink| relative(link).is_some_and(|(path, _)| target_of(page, path) == card);
        let is_quote = |block: &Block| block.links.iter().any(quoting);
        let quotes_card = page.blocks.iter().enumerate().filter(|(i, block)| {
            // A table belongs to the paragraph before it.
            is_quote(block) || (block.is_table && *i > 0 && is_quote(&page.blocks[i - 1]))
        });
        for (_, block) in quotes_card {
            for figure in decimals(&block.text) {
                quotes += 1;
                if !known.contains(&figure) {
                    faults.push(format!("{}: {figure}, in: {}", name(&page.path), block.text.trim()));
                }
            }
        }
    }
    assert!(quotes > 1, "{quotes} figures");
    none("figures that models/README.md does not have", &faults);
}

/// What a search finds badly is said with the figures of the card's own rows and columns.
#[test]
fn limits_of_searches_are_those_of_the_card() {
    let card = read(&root().join("models/README.md"));
    let rows: Vec<Vec<&str>> =
        card.lines().filter(|l| l.starts_with('|')).map(|l| l.split('|').map(str::trim).collect()).collect();
    let header = rows.iter().position(|row| row.contains(&"picture in picture") && row.contains(&"chains"));
    let header = header.expect("a table with the kinds of edits as columns");
    let binary = rows[header..].iter().find(|row| row.get(1) == Some(&"S^f_B")).expect("a row for S^f_B");
    let page = Page::open(&root().join("docs/search.md"));
    let limits = page.blocks.iter().map(|b| &b.text).find(|t| t.contains("reciprocal ranks")).expect("the limits");
    for kind in ["picture in picture", "chains"] {
        let column = rows[header].iter().position(|c| *c == kind).expect("a column");
        let figure = binary[column].trim_matches('*');
        assert!(limits.contains(figure), "docs/search.md does not quote {kind}: {figure}\n{limits}");
    }
}

/// Returns the text between two marks.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text.find(before).unwrap_or_else(|| panic!("{before}")) + before.len();
    let length = text[start..].find(after).unwrap_or_else(|| panic!("{after}"));
    &text[start..start + length]
}

/// The version is the same everywhere, and the changelog has a section for it.
#[test]
fn versions_agree() {
    let cargo = read(&root().join("Cargo.toml"));
    let package = &cargo[cargo.find("[workspace.package]").expect("a table")..];
    let version = between(package, "version = \"", "\"");
    let paths = cargo.lines().filter(|line| line.contains("path = \"") && line.contains("version = "));
    let others = paths.filter(|line| between(line, "version = \"", "\"") != version);
    none("crates of another version in Cargo.toml", &others.map(str::to_owned).collect::<Vec<_>>());
    for file in ["npm/package.json", "npm/package-lock.json", "www/package.json", "www/package-lock.json"] {
        assert_eq!(between(&read(&root().join(file)), "\"version\": \"", "\""), version, "{file}");
    }
    assert_eq!(between(&read(&root().join("CITATION.cff")), "\nversion: ", "\n"), version, "CITATION.cff");
    let changelog = read(&root().join("CHANGELOG.md"));
    assert!(changelog.contains(&format!("\n## {version}")), "CHANGELOG.md has no section {version}");
}

#[test]
fn the_book_has_every_page() {
    let book = Page::open(&root().join("docs/SUMMARY.md"));
    let listed: BTreeSet<PathBuf> = book
        .blocks
        .iter()
        .flat_map(|block| &block.links)
        .filter_map(|link| relative(link).map(|(path, _)| target_of(&book, path)))
        .collect();
    let missing: Vec<String> = files("docs", &[".md"])
        .into_iter()
        .filter(|path| *path != book.path && !listed.contains(path))
        .map(|path| name(&path))
        .collect();
    none("pages that docs/SUMMARY.md lacks", &missing);
}
