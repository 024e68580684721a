//! Charts of named rows as SVG text: values as dots, and counts as a grid. The same data give the
//! same bytes.

use std::fmt::Write as _;

use crate::plots::{COLOURS, c, escaped};

const WIDTH: f64 = 760.0;
const ROW: f64 = 19.0;
const TOP: f64 = 70.0;
const NAMES: f64 = 190.0;

/// The head of a picture: white ground and a title.
fn head(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {h}\" width=\"{WIDTH}\" height=\"{h}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{h}\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{title}</text>\n",
        title = escaped(title),
        h = c(height),
    )
}

/// Shares of named rows, 0 to 1: a dot for each value, a row below the other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowChart {
    /// Title.
    pub title: String,
    /// Names of the values, in the order of their colours; at most seven can be distinguished.
    pub values: Vec<String>,
    /// Name of each row, and its values; one that is not finite is left out.
    pub rows: Vec<(String, Vec<f64>)>,
}

impl RowChart {
    /// The picture as SVG, 760 pixels wide.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn svg(&self) -> String {
        let height = TOP + ROW * self.rows.len() as f64 + 34.0;
        let mut svg = head(&self.title, height);
        let (left, right) = (NAMES, WIDTH - 24.0);
        let at = |value: f64| left + value.clamp(0.0, 1.0) * (right - left);
        // Writing to a String cannot fail.
        for (i, name) in self.values.iter().enumerate() {
            let x = 16.0 + (WIDTH - 32.0) / self.values.len() as f64 * i as f64;
            let colour = COLOURS[i % COLOURS.len()];
            let (dot, text) = (c(x + 5.0), c(x + 14.0));
            let _ = writeln!(
                svg,
                "<circle cx=\"{dot}\" cy=\"44\" r=\"4\" fill=\"{colour}\"/><text x=\"{text}\" y=\"48.5\">{}</text>",
                escaped(name)
            );
        }
        let bottom = height - 28.0;
        for tenth in (0..=10u8).step_by(2) {
            let value = f64::from(tenth) / 10.0;
            let (x, base) = (c(at(value)), c(bottom + 17.0));
            let _ = writeln!(
                svg,
                "<path d=\"M{x} {}V{}\" stroke=\"#e4e4e4\"/><text x=\"{x}\" y=\"{base}\" text-anchor=\"middle\">{value:.1}</text>",
                c(TOP - 10.0),
                c(bottom),
            );
        }
        for (i, (name, values)) in self.rows.iter().enumerate() {
            let y = TOP + ROW * i as f64;
            let (end, base, line) = (c(left - 10.0), c(y + 4.5), c(y));
            let _ = writeln!(
                svg,
                "<text x=\"{end}\" y=\"{base}\" text-anchor=\"end\">{}</text>\
                 <path d=\"M{} {line}H{}\" stroke=\"#eee\"/>",
                escaped(name),
                c(left),
                c(right),
            );
            for (k, value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
                // The first value is on top of the others.
                let (x, radius) = (c(at(*value)), c(3.5 + k as f64));
                let colour = COLOURS[k % COLOURS.len()];
                let fill = if k == 0 { colour } else { "none" };
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{x}\" cy=\"{line}\" r=\"{radius}\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Counts of what was found against what is true.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GridChart {
    /// Title.
    pub title: String,
    /// What the rows are.
    pub down: String,
    /// What the columns are.
    pub across: String,
    /// Names of rows and columns.
    pub names: Vec<String>,
    /// `[row][column]` counts.
    pub cells: Vec<Vec<usize>>,
}

impl GridChart {
    /// The picture as SVG, 760 pixels wide. A cell is as dark as its share of its column.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn svg(&self) -> String {
        const SIDE: f64 = 40.0;
        let count = self.names.len().max(1) as f64;
        let (top, wide) = (86.0, (WIDTH - NAMES - 24.0) / count);
        let mut svg = head(&self.title, top + SIDE * count + 20.0);
        let total = |column: usize| self.cells.iter().filter_map(|row| row.get(column)).sum::<usize>().max(1);
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{}\" fill=\"#666\">{}</text><text x=\"{}\" y=\"50\" fill=\"#666\">{}</text>",
            c(top - 12.0),
            escaped(&self.down),
            c(NAMES),
            escaped(&self.across),
        );
        for (i, name) in self.names.iter().enumerate() {
            let (x, y) = (NAMES + wide * (i as f64 + 0.5), top + SIDE * (i as f64 + 0.5) + 4.5);
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{name}</text>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>",
                c(x),
                c(top - 12.0),
                c(NAMES - 10.0),
                c(y),
                name = escaped(name),
            );
        }
        for (i, row) in self.cells.iter().enumerate() {
            for (k, cell) in row.iter().enumerate() {
                let share = *cell as f64 / total(k) as f64;
                let (x, y) = (NAMES + wide * k as f64, top + SIDE * i as f64);
                let ink = if share > 0.5 { "#fff" } else { "#222" };
                let _ = writeln!(
                    svg,
                    "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" fill-opacity=\"{}\" stroke=\"#ddd\"/>\
                     <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"{ink}\">{cell}</text>",
                    c(x),
                    c(y),
                    c(wide),
                    c(SIDE),
                    COLOURS[0],
                    c(share),
                    c(x + wide / 2.0),
                    c(y + SIDE / 2.0 + 4.5),
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_dot_for_each_value() {
        let rows = vec![("lead < black".to_owned(), vec![0.5, 1.0]), ("none".to_owned(), vec![f64::NAN, 0.0])];
        let chart = RowChart { title: "Claims".into(), values: vec!["sure".into(), "likely".into()], rows };
        let svg = chart.svg();
        assert_eq!(svg, chart.svg());
        // Two in the legend, three values.
        assert_eq!(svg.matches("<circle").count(), 5);
        let middle = c(NAMES + (WIDTH - 24.0 - NAMES) / 2.0);
        assert!(svg.contains(&format!("cx=\"{middle}\"")) && svg.contains("lead &lt; black"), "{svg}");
        assert!(!svg.contains("NaN") && RowChart::default().svg().ends_with("</svg>\n"));
    }

    #[test]
    fn grids_show_counts_as_shares_of_their_columns() {
        let names = vec!["copy".to_owned(), "different".to_owned()];
        let cells = vec![vec![9, 0], vec![3, 4]];
        let (down, across) = ("found".to_owned(), "true".to_owned());
        let svg = GridChart { title: "Relations".into(), down, across, names, cells }.svg();
        assert_eq!(svg.matches("<rect").count(), 5);
        assert!(svg.contains("fill-opacity=\"0.75\"") && svg.contains("fill-opacity=\"1\""), "{svg}");
        assert!(svg.contains(">9</text>") && GridChart::default().svg().ends_with("</svg>\n"));
    }
}
