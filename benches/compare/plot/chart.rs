//! A line chart in SVG. Lines are told apart by colour and by the mark at each point, and each is named at its end.

use std::fmt::Write;

/// The picture, and the part of it where lines are, in pixels.
const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 400.0;

/// Least distance between two names, in pixels.
const APART: f64 = 16.0;

/// Colours that people who see few colours can tell apart.
const COLOURS: [&str; 7] = ["#d55e00", "#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#8c6d00", "#777777"];

pub struct Chart {
    pub title: &'static str,
    pub across: &'static str,
    pub up: &'static str,
    /// Of the horizontal axis.
    pub scale: Scale,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy)]
pub enum Scale {
    Linear,
    Logarithmic,
}

impl Scale {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.log2(),
        }
    }
}

impl Chart {
    pub fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"13\" role=\"img\" aria-label=\"{}\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"28\" font-size=\"17\">{}</text>\n",
            self.title, self.title
        );
        self.axes(&mut svg);
        let mut ends = Vec::new();
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            self.line(&mut svg, line, colour);
            if let Some((_, last)) = line.points.last() {
                ends.push((self.height(*last), line.name, *colour));
            }
        }
        names(&mut svg, ends);
        svg + "</svg>\n"
    }

    fn axes(&self, svg: &mut String) {
        let step = step(self.most());
        let mut value = 0.0;
        while value <= self.most() {
            let y = self.height(value);
            let _ = writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#dddddd\"/>");
            let (x, y) = (LEFT - 8.0, y + 4.0);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{value}</text>");
            value += step;
        }
        for (at, _) in self.lines.iter().take(1).flat_map(|line| &line.points) {
            let (x, y) = (self.distance(*at), BOTTOM + 20.0);
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{at}</text>");
        }
        let (middle, y) = ((LEFT + RIGHT) / 2.0, BOTTOM + 45.0);
        let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", self.across);
        let middle = (TOP + BOTTOM) / 2.0;
        let _ = writeln!(
            svg,
            "<text transform=\"translate(20 {middle}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            self.up
        );
    }

    fn line(&self, svg: &mut String, line: &Line, colour: &str) {
        let places: Vec<_> = line.points.iter().map(|(x, y)| (self.distance(*x), self.height(*y))).collect();
        let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\"/>",
            path.join("L"),
            if line.name == "evenkeel" { 3 } else { 1 }
        );
        for (x, y) in places {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }

    /// The top of the vertical axis.
    fn most(&self) -> f64 {
        let most = self.lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).fold(1.0, f64::max);
        (most / step(most)).ceil() * step(most)
    }

    fn height(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * value / self.most()
    }

    fn distance(&self, at: f64) -> f64 {
        let all = || self.lines.iter().flat_map(|line| &line.points).map(|(x, _)| self.scale.of(*x));
        let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        LEFT + (RIGHT - LEFT) * (self.scale.of(at) - least) / (most - least).max(1e-9)
    }
}

/// A round number of which a few make up the axis.
fn step(most: f64) -> f64 {
    let rough = most / 5.0;
    let ten = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * ten).find(|step| *step >= rough).unwrap_or(rough)
}

/// Each line's name where the line ends, or as near as leaves room for the others.
fn names(svg: &mut String, mut ends: Vec<(f64, &str, &str)>) {
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut least = f64::NEG_INFINITY;
    for (y, name, colour) in ends {
        let y = y.max(least);
        least = y + APART;
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>", RIGHT + 10.0, y + 4.0);
    }
}
