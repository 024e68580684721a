//! The pages of the repository's documentation, as the tests of documents read them.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Returns the workspace root.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).ancestors().nth(2).expect("a workspace").to_path_buf()
}

/// Returns the path of a file below the root, with `/`.
pub(crate) fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string().replace('\\', "/")
}

/// Returns the files below a folder whose names end with one of `ends`, in order; builds and packages of
/// others are passed over.
pub(crate) fn files(folder: &str, ends: &[&str]) -> Vec<PathBuf> {
    const OTHERS: [&str; 10] =
        ["target", "node_modules", "dist", "build", "tools", "book", "artifacts", "corpus", "state", ".wrangler"];
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("an entry").path();
            let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() {
                if !OTHERS.contains(&&*file) && file != ".git" {
                    folders.push(path);
                }
            } else if ends.iter().any(|end| file.ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Reads a file with `\n` at the ends of its lines.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).replace("\r\n", "\n")
}

/// A link or a picture.
pub(crate) struct PageLink {
    pub(crate) target: String,
    /// The text, if it is nothing but code.
    pub(crate) code: Option<String>,
}

/// A paragraph, a heading, an item of a list or a whole table.
#[derive(Default)]
pub(crate) struct Block {
    pub(crate) text: String,
    pub(crate) links: Vec<PageLink>,
    pub(crate) is_heading: bool,
    pub(crate) is_table: bool,
}

/// A page of documentation.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) blocks: Vec<Block>,
}

impl Page {
    /// Reads a page of Markdown. Code blocks are left out.
    pub(crate) fn open(path: &Path) -> Self {
        let text = read(path);
        let mut blocks = vec![Block::default()];
        let (mut in_code, mut in_table) = (false, 0u32);
        let mut link: Option<(String, String, bool)> = None;
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
            let block = blocks.last_mut().expect("a block");
            match event {
                Event::Start(Tag::Table(_)) => {
                    in_table += 1;
                    blocks.push(Block { is_table: true, ..Block::default() });
                }
                Event::End(TagEnd::Table) => {
                    in_table -= 1;
                    blocks.push(Block::default());
                }
                Event::Start(Tag::Paragraph | Tag::Item) if in_table == 0 => blocks.push(Block::default()),
                Event::Start(Tag::Heading { .. }) => blocks.push(Block { is_heading: true, ..Block::default() }),
                Event::End(TagEnd::Heading(_) | TagEnd::Paragraph | TagEnd::Item) if in_table == 0 => {
                    blocks.push(Block::default());
                }
                Event::Start(Tag::CodeBlock(_)) => in_code = true,
                Event::End(TagEnd::CodeBlock) => in_code = false,
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    link = Some((dest_url.to_string(), String::new(), true));
                }
                Event::End(TagEnd::Link | TagEnd::Image) => {
                    if let Some((target, text, is_code)) = link.take() {
                        block.links.push(PageLink { target, code: (is_code && !text.is_empty()).then_some(text) });
                    }
                }
                Event::Text(text) if !in_code => {
                    block.text.push_str(&text);
                    if let Some((_, _, is_code)) = &mut link {
                        *is_code = false;
                    }
                }
                Event::Code(text) => {
                    block.text.push_str(&text);
                    if let Some((_, code, _)) = &mut link {
                        code.push_str(&text);
                    }
                }
                Event::End(TagEnd::TableCell | TagEnd::TableRow | TagEnd::TableHead)
                | Event::SoftBreak
                | Event::HardBreak => block.text.push(' '),
                _ => {}
            }
        }
        blocks.retain(|block| !block.text.trim().is_empty() || !block.links.is_empty());
        Self { path: path.to_path_buf(), blocks }
    }

    /// Returns the anchors of its headings, as GitHub and mdBook make them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for heading in self.blocks.iter().filter(|block| block.is_heading) {
            let kept = heading.text.trim().to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
            let plain: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let mut anchor = plain.clone();
            for n in 1.. {
                if !all.contains(&anchor) {
                    break;
                }
                anchor = format!("{plain}-{n}");
            }
            all.push(anchor);
        }
        all
    }
}

/// Returns all pages of Markdown of the repository.
pub(crate) fn pages() -> Vec<Page> {
    files("", &[".md"]).iter().map(|path| Page::open(path)).collect()
}
