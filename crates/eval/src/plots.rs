//! Line plots as SVG text: the same data give the same bytes.

use std::fmt::Write as _;

use crate::dataset::MergeCurve;
use crate::retrieval::{RetrievalReport, SelectionCurve};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;

/// Colours that people with deficient colour vision tell apart on white (Okabe and Ito), darkest first.
pub(crate) const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];
/// Lines also differ in their dashes, for prints without colour.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];
const REFERENCE_DASHES: [&str; 4] = ["1.5 3", "8 4", "4 2", "12 3 2 3"];

/// How values are laid along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By their logarithm to base 2; values must be above 0.
    Log2,
}

/// One axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Axis {
    /// What the values are, with the unit.
    pub label: String,
    /// Ends; `None`: what the data need.
    pub range: Option<(f64, f64)>,
    /// Scale.
    pub scale: Scale,
}

impl Axis {
    /// A linear axis that fits the data.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// Returns the axis with fixed ends.
    #[must_use]
    pub fn range(self, from: f64, to: f64) -> Self {
        Self { range: Some((from, to)), ..self }
    }

    /// Returns the axis with a logarithmic scale.
    #[must_use]
    pub fn log2(self) -> Self {
        Self { scale: Scale::Log2, ..self }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// (x, y); points that are not finite interrupt the line.
    pub points: Vec<(f64, f64)>,
    /// (low, high) of each point, drawn as a band; empty: none.
    pub band: Vec<(f64, f64)>,
    /// Whether points are marked.
    pub markers: bool,
    /// Whether it is a thin grey line to compare with.
    pub reference: bool,
}

impl Series {
    /// A line.
    #[must_use]
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        let markers = points.len() <= 30;
        Self { name: name.into(), points, markers, ..Self::default() }
    }

    /// Returns the line with a band around it.
    #[must_use]
    pub fn band(self, band: Vec<(f64, f64)>) -> Self {
        Self { band, ..self }
    }

    /// Returns the line in thin grey.
    #[must_use]
    pub fn reference(self) -> Self {
        Self { reference: true, markers: false, ..self }
    }
}

/// A plot of one or more lines.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plot {
    /// Title.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Lines, in the order of the legend.
    pub series: Vec<Series>,
}

/// An axis with its ends and its place on the picture.
struct Placed {
    low: f64,
    high: f64,
    scale: Scale,
    from: f64,
    to: f64,
}

impl Placed {
    fn new(axis: &Axis, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let usable = |v: &f64| v.is_finite() && (axis.scale == Scale::Linear || *v > 0.0);
        let (mut low, mut high) =
            values.filter(usable).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if axis.range.is_none() && axis.scale == Scale::Linear {
            let margin = if high > low { (high - low) * 0.05 } else { low.abs().max(1.0) * 0.1 };
            (low, high) = (low - margin, high + margin);
        }
        if let Some((from, to)) = axis.range.filter(|(a, b)| a.is_finite() && b.is_finite() && a < b) {
            (low, high) = (from, to);
        }
        let mut placed = Self { low, high, scale: axis.scale, from, to };
        if axis.scale == Scale::Log2 {
            let floor = f64::MIN_POSITIVE.max(placed.low);
            placed.low = floor.log2();
            placed.high = placed.high.max(floor).log2();
        }
        if placed.high <= placed.low {
            (placed.low, placed.high) = (placed.low - 0.5, placed.low + 0.5);
        }
        placed
    }

    fn at(&self, value: f64) -> Option<f64> {
        let value = if self.scale == Scale::Log2 { value.log2() } else { value };
        let share = (value - self.low) / (self.high - self.low);
        share.is_finite().then(|| self.from + share.clamp(-10.0, 10.0) * (self.to - self.from))
    }

    /// Values with a mark, and their text.
    fn ticks(&self) -> Vec<(f64, String)> {
        if self.scale == Scale::Log2 {
            let (low, high) = (self.low.ceil(), self.high.floor());
            let step = ((high - low) / 12.0).ceil().max(1.0);
            let count = (((high - low) / step).floor().max(0.0)) as u32;
            return (0..=count).map(|i| (low + f64::from(i) * step).exp2()).map(|v| (v, trimmed(v, 6))).collect();
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].into_iter().map(|s| s * power).find(|s| *s >= rough).unwrap_or(10.0 * power);
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let (first, last) = ((self.low / step - 1e-9).ceil(), (self.high / step + 1e-9).floor());
        let count = (last - first).clamp(0.0, 20.0) as u32;
        (0..=count)
            .map(|i| (first + f64::from(i)) * step)
            .map(|v| if v.abs() < step * 1e-9 { 0.0 } else { v })
            .map(|v| (v, format!("{v:.decimals$}")))
            .collect()
    }
}

/// A number without needless zeros.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Coordinates with two decimals.
pub(crate) fn c(value: f64) -> String {
    trimmed(value + 0.0, 2)
}

pub(crate) fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Plot {
    /// An empty plot.
    #[must_use]
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), x, y, series: Vec::new() }
    }

    /// Returns the plot with one more line.
    #[must_use]
    pub fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// The picture as SVG, dark on white, 760 x 440 pixels.
    #[must_use]
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let bands = self.series.iter().flat_map(|s| &s.band).flat_map(|(low, high)| [*low, *high]);
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let x = Placed::new(&self.x, points().map(|p| p.0), LEFT, right);
        let y = Placed::new(&self.y, points().map(|p| p.1).chain(bands), bottom, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" \
             fill=\"#222\" role=\"img\">\n<title>{title}</title>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{title}</text>\n\
             <clipPath id=\"area\"><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{w}\" height=\"{h}\"/></clipPath>\n",
            title = escaped(&self.title),
            w = c(right - LEFT),
            h = c(bottom - TOP),
        );
        // Writing to a String cannot fail.
        for (value, text) in x.ticks() {
            let Some(at) = x.at(value).map(c) else { continue };
            let (end, base) = (c(bottom + 5.0), c(bottom + 20.0));
            let _ = writeln!(
                svg,
                "<path d=\"M{at} {TOP}V{}\" stroke=\"#e4e4e4\"/><path d=\"M{at} {}V{end}\" stroke=\"#222\"/>\
                 <text x=\"{at}\" y=\"{base}\" text-anchor=\"middle\">{text}</text>",
                c(bottom),
                c(bottom),
            );
        }
        for (value, text) in y.ticks() {
            let Some(at) = y.at(value) else { continue };
            let (line, base) = (c(at), c(at + 4.5));
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {line}H{}\" stroke=\"#e4e4e4\"/><path d=\"M{} {line}H{LEFT}\" stroke=\"#222\"/>\
                 <text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{text}</text>",
                c(right),
                c(LEFT - 5.0),
                c(LEFT - 9.0),
            );
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#222\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            c((LEFT + right) / 2.0),
            c(HEIGHT - 12.0),
            escaped(&self.x.label),
            c((TOP + bottom) / 2.0),
            escaped(&self.y.label),
        );
        let (mut number, mut references) = (0, 0);
        for (row, series) in self.series.iter().enumerate() {
            let (colour, dashes, width) = if series.reference {
                references += 1;
                ("#888", REFERENCE_DASHES[(references - 1) % REFERENCE_DASHES.len()], "1.2")
            } else {
                number += 1;
                let i = number - 1;
                (COLOURS[i % COLOURS.len()], DASHES[(i / COLOURS.len() + i) % DASHES.len()], "2")
            };
            let style = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
            series.draw(&mut svg, &x, &y, colour, &style, width);
            let at = TOP + 10.0 + 22.0 * row as f64;
            let (from, to) = (right + 14.0, right + 40.0);
            let _ = writeln!(
                svg,
                "<path d=\"M{} {}H{}\" stroke=\"{colour}\" stroke-width=\"{width}\"{style}/>\
                 <text x=\"{}\" y=\"{}\">{}</text>",
                c(from),
                c(at),
                c(to),
                c(to + 7.0),
                c(at + 4.5),
                escaped(&series.name),
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Series {
    fn draw(&self, svg: &mut String, x: &Placed, y: &Placed, colour: &str, style: &str, width: &str) {
        let place = |(px, py): (f64, f64)| Some((x.at(px)?, y.at(py)?));
        let places: Vec<Option<(f64, f64)>> = self.points.iter().map(|&p| place(p)).collect();
        let band: Vec<[(f64, f64); 2]> = self
            .points
            .iter()
            .zip(&self.band)
            .filter_map(|(&(px, _), &(low, high))| Some([place((px, low))?, place((px, high))?]))
            .collect();
        let _ = write!(svg, "<g clip-path=\"url(#area)\">");
        if band.len() > 1 {
            let edge = band.iter().map(|b| b[0]).chain(band.iter().rev().map(|b| b[1]));
            let path: Vec<String> = edge.map(|(px, py)| format!("{} {}", c(px), c(py))).collect();
            let _ = write!(svg, "<path d=\"M{}Z\" fill=\"{colour}\" fill-opacity=\"0.15\"/>", path.join("L"));
        }
        for run in places.split(Option::is_none) {
            let path: Vec<String> = run.iter().flatten().map(|(px, py)| format!("{} {}", c(*px), c(*py))).collect();
            if path.len() > 1 {
                let _ = write!(
                    svg,
                    "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
                     stroke-linejoin=\"round\"{style}/>",
                    path.join("L")
                );
            }
        }
        if self.markers {
            for (px, py) in places.iter().flatten() {
                let _ = write!(svg, "<circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"{colour}\"/>", c(*px), c(*py));
            }
        }
        svg.push_str("</g>\n");
    }
}

/// mAP against the share of the database that is looked at again, for every order of selection; the networks on their
/// own as horizontal lines.
#[must_use]
pub fn selection(report: &RetrievalReport) -> Plot {
    let mut plot = Plot::new(
        "Whom to look at again",
        Axis::new("re-ranked share of the database [%]").range(0.0, 100.0),
        Axis::new("mAP"),
    );
    let networks = [
        ("teacher", &report.teacher),
        ("fine, attention", &report.fine_attention),
        ("fine, binary", &report.fine_binary),
        ("coarse", &report.coarse),
    ];
    let several = report.selection.iter().any(|c| c.fine != report.selection[0].fine);
    for curve in &report.selection {
        plot.series.push(curve_series(curve, several));
    }
    for (name, quality) in networks {
        if let Some(quality) = quality {
            plot.series.push(Series::new(name, vec![(0.0, quality.map), (100.0, quality.map)]).reference());
        }
    }
    plot
}

fn curve_series(curve: &SelectionCurve, several: bool) -> Series {
    let points: Vec<(f64, f64)> = curve.shares.iter().map(|s| f64::from(*s)).zip(curve.map.iter().copied()).collect();
    let name = if several { format!("{}, {}", curve.order, curve.fine.replace('_', " ")) } else { curve.order.clone() };
    let deviation = curve.deviation.iter().flatten();
    let band = curve.map.iter().zip(deviation).map(|(map, d)| (map - d, map + d)).collect();
    Series::new(name, points).band(band)
}

/// mAP of each task against the share of the database that is looked at again.
#[must_use]
pub fn shares(title: &str, curve: &MergeCurve) -> Plot {
    let mut plot =
        Plot::new(title, Axis::new("re-ranked share of the database [%]").range(0.0, 100.0), Axis::new("mAP"));
    for (task, map) in &curve.map {
        let points = curve.shares.iter().map(|share| f64::from(*share)).zip(map.iter().copied()).collect();
        plot.series.push(Series::new(task.clone(), points));
    }
    plot
}

/// Quality against bits of a region: (bits, mAP) of each kind of code.
#[must_use]
pub fn bits(series: Vec<Series>) -> Plot {
    Plot { series, ..Plot::new("Bits of a region", Axis::new("bits").log2(), Axis::new("mAP")) }
}

/// Losses or measures against steps or epochs.
#[must_use]
pub fn training(title: &str, step: &str, value: &str, series: Vec<Series>) -> Plot {
    Plot { series, ..Plot::new(title, Axis::new(step), Axis::new(value)) }
}

/// How often pairs of a predicted probability are what was predicted: (predicted, observed) a bin, with the diagonal of
/// honest predictions.
#[must_use]
pub fn reliability(title: &str, series: Vec<Series>) -> Plot {
    let axis = |label: &str| Axis::new(label).range(0.0, 1.0);
    let plot = Plot { series, ..Plot::new(title, axis("predicted probability"), axis("observed share")) };
    plot.with(Series::new("honest", vec![(0.0, 0.0), (1.0, 1.0)]).reference())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(svg: &str) -> Vec<&str> {
        svg.split("<text ").skip(1).filter_map(|t| Some(t.split_once('>')?.1.split_once("</text>")?.0)).collect()
    }

    #[test]
    fn points_ticks_and_legend() {
        let plot = Plot::new("A < B & \"C\"", Axis::new("x [%]").range(0.0, 100.0), Axis::new("y").range(0.0, 1.0))
            .with(Series::new("one", vec![(0.0, 0.0), (50.0, 0.5), (100.0, 1.0)]))
            .with(Series::new("two", vec![(0.0, 1.0), (f64::NAN, 0.2), (100.0, 0.0)]));
        let svg = plot.svg();
        assert_eq!(svg, plot.svg());
        assert!(svg.contains("M72 384L316 214L560 44"), "{svg}");
        let texts = texts(&svg);
        for text in ["A &lt; B &amp; &quot;C&quot;", "0", "20", "100", "0.2", "1.0", "x [%]", "y", "one", "two"] {
            assert!(texts.contains(&text), "{text}: {texts:?}");
        }
        // The point that is not finite interrupts: no line is left of two single points.
        assert_eq!(svg.matches("stroke-linejoin").count(), 1);
        assert_eq!(svg.matches("<circle").count(), 5);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn logarithms_and_bands() {
        let series = Series::new("itq", vec![(64.0, 0.5), (128.0, 0.6), (512.0, 0.7)]).band(vec![(0.4, 0.6); 3]);
        let svg = bits(vec![series]).svg();
        let texts = texts(&svg);
        assert!(["64", "128", "256", "512"].iter().all(|t| texts.contains(t)), "{texts:?}");
        // 128 is a third of the way from 64 to 512.
        assert!(svg.contains(&format!("cx=\"{}\"", c(LEFT + (WIDTH - RIGHT - LEFT) / 3.0))), "{svg}");
        assert_eq!(svg.matches("fill-opacity").count(), 1);
    }

    #[test]
    fn degenerate_data_still_make_a_picture() {
        for plot in [
            Plot::default(),
            training("t", "epoch", "loss", vec![Series::new("one", vec![(1.0, 2.0)])]),
            training("t", "epoch", "loss", vec![Series::new("flat", vec![(0.0, 3.0), (1.0, 3.0)])]),
            training("t", "epoch", "loss", vec![Series::new("odd", vec![(f64::INFINITY, f64::NAN)])]),
            bits(vec![Series::new("zero", vec![(0.0, 0.1)])]),
            reliability("r", vec![]),
            Plot::new("t", Axis::new("x").range(1.0, 0.0), Axis::new("y").range(f64::NAN, 1.0)),
            training("t", "e", "tiny", vec![Series::new("tiny", vec![(0.0, 1e-12), (1.0, 3e-12)])]),
            training("t", "e", "big", vec![Series::new("big", vec![(0.0, -1e300), (1.0, 1e300)])]),
        ] {
            let svg = plot.svg();
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
