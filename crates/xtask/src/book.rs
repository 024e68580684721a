//! The documentation site: mdBook over `docs/`, with every link checked.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::run::{Line, root};
use crate::tools::target;

/// The version of mdBook that the site is built with.
const MDBOOK: &str = "0.5.4";

/// Builds the site in `target/book`. Links to files outside `docs/` lead to the repository: to the address
/// that GitHub's workflows name, or to the checkout.
pub(crate) fn build() -> Result<(), String> {
    let out = target().join("book");
    Line::new(&mdbook()?).args("build --dest-dir").arg(&out.display().to_string()).run()?;
    let variable = |name: &str| std::env::var(name).ok();
    let repository = match (variable("GITHUB_SERVER_URL"), variable("GITHUB_REPOSITORY"), variable("GITHUB_SHA")) {
        (Some(server), Some(name), Some(commit)) => format!("{server}/{name}/blob/{commit}"),
        _ => format!("file://{}", root().display()),
    };
    let mut dead = Vec::new();
    let mut pages = 0;
    for page in html(&out)? {
        let text = fs::read_to_string(&page).map_err(|e| format!("{}: {e}", page.display()))?;
        let linked = links(&text, |link| follow(&out, &page, link, &repository, &mut dead));
        fs::write(&page, linked).map_err(|e| format!("{}: {e}", page.display()))?;
        pages += 1;
    }
    if !dead.is_empty() {
        return Err(format!("links of the site that lead nowhere:\n  {}", dead.join("\n  ")));
    }
    eprintln!("{pages} pages in {}", out.display());
    Ok(())
}

/// mdBook: the one that is installed, or the workspace's own.
fn mdbook() -> Result<String, String> {
    let own = root().join("tools/bin/mdbook").display().to_string();
    for program in ["mdbook", &own] {
        if Line::new(program).arg("--version").output().is_ok_and(|v| v.trim_start_matches("mdbook v") == MDBOOK) {
            return Ok(program.to_owned());
        }
    }
    Line::cargo()
        .args("install mdbook --locked --no-default-features --features search --root tools --version")
        .arg(MDBOOK)
        .run()?;
    Ok(own)
}

/// The pages below a folder.
fn html(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| format!("{}: {e}", folder.display()))?.path();
        if path.is_dir() {
            found.extend(html(&path)?);
        } else if path.extension().is_some_and(|e| e == "html") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Replaces the targets of all links of a page.
fn links(text: &str, mut replace: impl FnMut(&str) -> String) -> String {
    let mut parts = text.split(" href=\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (link, rest) = part.split_once('"').unwrap_or((part, ""));
        out.push_str(" href=\"");
        out.push_str(&replace(link));
        out.push('"');
        out.push_str(rest);
    }
    out
}

/// Where a link of a page leads: kept within the site, to the repository outside it. What exists in neither
/// is noted in `dead`.
fn follow(out: &Path, page: &Path, link: &str, repository: &str, dead: &mut Vec<String>) -> String {
    let (path, anchor) = link.split_once('#').map_or((link, ""), |(path, anchor)| (path, anchor));
    if path.is_empty() || path.contains(':') || path.starts_with('/') {
        return link.to_owned();
    }
    let folder = page.parent().unwrap_or(out);
    let target = plain(&folder.join(path));
    if target.starts_with(out) && target.exists() {
        return link.to_owned();
    }
    // As if the site lay in `docs/`; pages of other folders were Markdown.
    let place = folder.strip_prefix(out).unwrap_or(Path::new(""));
    let mut source = plain(&root().join("docs").join(place).join(path));
    if source.extension().is_some_and(|e| e == "html") && !source.exists() {
        source.set_extension("md");
    }
    match source.strip_prefix(plain(&root())) {
        Ok(inside) if source.exists() => {
            let anchor = if anchor.is_empty() { String::new() } else { format!("#{anchor}") };
            format!("{repository}/{}{anchor}", inside.display())
        }
        _ => {
            dead.push(format!("{}: {link}", page.strip_prefix(out).unwrap_or(page).display()));
            link.to_owned()
        }
    }
}

/// Resolves `.` and `..` without asking the disk.
fn plain(path: &Path) -> PathBuf {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_site_or_to_the_repository() {
        let out = root().join("docs");
        let mut dead = Vec::new();
        let mut of = |page: &str, link: &str| follow(&out, &out.join(page), link, "R", &mut dead);
        assert_eq!(of("search.html", "search.md#budgets"), "search.md#budgets");
        assert_eq!(of("search.html", "https://example.org/a"), "https://example.org/a");
        assert_eq!(of("search.html", "#budgets"), "#budgets");
        assert_eq!(of("search.html", "../README.html#use"), "R/README.md#use");
        assert_eq!(of("guides/x.html", "../../crates/kernels/src/lib.rs"), "R/crates/kernels/src/lib.rs");
        assert_eq!(of("guides/x.html", "../nowhere.html"), "../nowhere.html");
        assert_eq!(dead, ["guides/x.html: ../nowhere.html"]);
        let text = links("<a href=\"x\">y</a> <a class=\"b\" href=\"z\">", |link| link.to_uppercase());
        assert_eq!(text, "<a href=\"X\">y</a> <a class=\"b\" href=\"Z\">");
    }
}
